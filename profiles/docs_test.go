package profiles

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// docs/profiles.md names every field of a profile, and its example is one.
func TestDocsNameEveryField(t *testing.T) {
	page, err := os.ReadFile("../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(v reflect.Type, path string)
	walk = func(v reflect.Type, path string) {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return
		}
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Field(i).Tag.Get("yaml"), ",")
			if name == "" {
				continue
			}
			full := join(path, name)
			_, inSection, nested := strings.Cut(full, ".") // a section's table leaves the section's name out
			if !nested {
				inSection = full
			}
			isTable := regexp.MustCompile("(?m)^## " + regexp.QuoteMeta(full) + "$").Match(page)
			elem := v.Field(i).Type
			if elem.Kind() == reflect.Pointer {
				elem = elem.Elem()
			}
			if documented := strings.Contains(string(page), "`"+inSection+"`"); !documented && !isTable && (elem.Kind() != reflect.Struct || elem.NumField() == 0) {
				t.Errorf("docs/profiles.md does not name %s", full)
			}
			if elem.Kind() == reflect.Struct && elem.PkgPath() != "" && !implementsText(elem) {
				walk(elem, full)
			}
		}
	}
	walk(reflect.TypeFor[Profile](), "")

	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	if example == nil {
		t.Fatal("no example")
	}
	if _, err := Load("docs/profiles.md", example[1], nil); err != nil {
		t.Errorf("the example: %v", err)
	}
}

func implementsText(t reflect.Type) bool {
	_, ok := reflect.PointerTo(t).MethodByName("UnmarshalText")
	return ok
}
