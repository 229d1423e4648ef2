package targets_test

import (
	"fmt"

	"github.com/kabench/kabench/profiles/targets"
)

// Two targets in the http format; the second has a header.
func ExampleParse() {
	list, err := targets.Parse([]byte("GET http://shop.test/\n\nDELETE http://shop.test/cart\nAccept: text/plain\n"), targets.FormatHTTP)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range list {
		fmt.Println(r.Method, r.URL, r.Values("accept"))
	}
	// Output:
	// GET http://shop.test/ []
	// DELETE http://shop.test/cart [text/plain]
}
