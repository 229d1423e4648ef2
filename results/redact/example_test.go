package redact_test

import (
	"fmt"

	"github.com/kabench/kabench/results/redact"
)

// Take a known credential out of a text, also where it stands without its scheme.
func ExampleSecrets_Blank() {
	secrets := redact.NewSecrets("Bearer 5f1c0ffee5f1c0ffee")
	fmt.Println(secrets.Blank("malformed HTTP version: 5f1c0ffee5f1c0ffee"))
	// Output: malformed HTTP version: (blanked)
}
