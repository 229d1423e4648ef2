package matrix_test

import (
	"fmt"
	"log"

	"github.com/kabench/kabench/profiles/matrix"
)

// Make the settings of a comparison from a matrix file.
func ExampleMatrix_Plan() {
	m, err := matrix.Load("m.yaml", []byte(`
profile: quick
repeats: 5
axes:
  pool.idle_timeout: [0s, 3s]
`))
	if err != nil {
		log.Fatal(err)
	}
	plan, err := m.Plan(nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, arm := range plan.Arms {
		fmt.Println(arm.Name)
	}
	// Output:
	// idle_timeout=0s
	// idle_timeout=3s
}
