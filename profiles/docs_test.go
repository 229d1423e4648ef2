package profiles

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"
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
			full := strictyaml.Join(path, name)
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

	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1)
	if len(examples) != 2 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, example := range examples {
		if _, err := Load("docs/profiles.md", example[1], nil); err != nil {
			t.Errorf("an example: %v", err)
		}
	}
}

func implementsText(t reflect.Type) bool {
	_, ok := reflect.PointerTo(t).MethodByName("UnmarshalText")
	return ok
}

var (
	docSection = regexp.MustCompile(`(?m)^## (.*)$`)
	docRow     = regexp.MustCompile("(?m)^\\| (`.*`) \\|.*\\| ?(.*) \\|$")
	docCode    = regexp.MustCompile("`([^`]*)`")
)

// The default that docs/profiles.md gives for a field is Default's, and a field
// it gives none for is empty there.
func TestDocsTellTheDefaults(t *testing.T) {
	page, err := os.ReadFile("../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	defaults := Default()
	defaults.Driver = new(Driver)
	defaults.Network, defaults.Forecast = new(network.Config), new(Forecast)
	defaults.Target.Lab, defaults.Target.Link = new(script.Server), new(script.Link) // of a section that is given, but empty
	texts := func(cell string) []string {
		var list []string
		for _, m := range docCode.FindAllStringSubmatch(cell, -1) {
			list = append(list, m[1])
		}
		return list
	}
	told := 0
	sections := docSection.FindAllStringSubmatchIndex(string(page), -1)
	for i, at := range sections {
		section, end := string(page[at[2]:at[3]]), len(page)
		if i+1 < len(sections) {
			end = sections[i+1][0]
		}
		if section == "The profile" {
			section = ""
		}
		for _, row := range docRow.FindAllStringSubmatch(string(page[at[1]:end]), -1) {
			names, values := texts(row[1]), texts(row[2])
			if len(values) != 0 && len(values) != len(names) {
				t.Errorf("%d defaults for %d fields: %s", len(values), len(names), row[0])
				continue
			}
			for k, name := range names {
				v, found := strictyaml.FieldAt(reflect.ValueOf(defaults), strictyaml.Join(section, name))
				switch {
				case !found:
					t.Errorf("there is no %s", strictyaml.Join(section, name))
				case len(values) > 0:
					told++
					if want := strictyaml.ValueText(v); values[k] != want {
						t.Errorf("%s: the page says the default is %s, it is %s", strictyaml.Join(section, name), values[k], want)
					}
				case !v.IsZero() && v.Kind() != reflect.Pointer:
					t.Errorf("%s: the page gives no default, it is %v", strictyaml.Join(section, name), v)
				}
			}
		}
	}
	if told < 30 {
		t.Errorf("%d defaults were found on the page", told)
	}
}

var incidentRow = regexp.MustCompile("(?m)^\\| ([0-9]+) \\| `([a-z0-9-]+)` \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\|$")

// docs/incidents.md has a row for each incident that comes with kabench, in the
// order of their numbers, and no others.
func TestDocsNameEveryIncident(t *testing.T) {
	page, err := os.ReadFile("../docs/incidents.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	last := 0
	for _, row := range incidentRow.FindAllStringSubmatch(string(page), -1) {
		number, _ := strconv.Atoi(row[1])
		if number <= last {
			t.Errorf("row %d, %s, comes after row %d", number, row[2], last)
		}
		last = number
		rows[row[2]] = true
	}
	for _, e := range Incidents() {
		if !rows[e.Name] {
			t.Errorf("docs/incidents.md has no row for %s", e.Name)
		}
		delete(rows, e.Name)
	}
	for name := range rows {
		t.Errorf("docs/incidents.md has a row for %s, and there is no such incident", name)
	}
}

// groupsWant, if set to write, has the test below write the list of groups into docs/incidents.md.
const groupsWant = "KABENCH_GROUPS"

// Each incident says where its cause lies, and docs/incidents.md lists them by that.
func TestIncidentsHaveGroups(t *testing.T) {
	var list strings.Builder
	for _, g := range Groups() {
		var names []string
		for _, e := range Incidents() {
			if e.Group == g {
				names = append(names, "`"+e.Name+"`")
			}
		}
		if g.Title() != "" && len(names) > 0 {
			fmt.Fprintf(&list, "- **%s** (`%v`): %s\n", g.Title(), g, strings.Join(names, ", "))
		}
	}
	for _, e := range Incidents() {
		if !slices.Contains(Groups(), e.Group) {
			t.Errorf("profiles/incidents/%s.yaml has no group; add one of %s", e.Name, groupNames.List())
		}
	}
	const path = "../docs/incidents.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), "<!-- groups -->\n")
	old, after, ends := strings.Cut(rest, "<!-- /groups -->")
	switch {
	case !begins || !ends:
		t.Fatalf("%s has no marks for the list of groups", path)
	case os.Getenv(groupsWant) == "write":
		if err := os.WriteFile(path, []byte(before+"<!-- groups -->\n"+list.String()+"<!-- /groups -->"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	case old != list.String():
		t.Errorf("%s: the list of groups is old; %s=write go test -run TestIncidentsHaveGroups ./profiles writes it", path, groupsWant)
	}
}

// Nothing that comes with kabench takes long: see the time that its runs send.
func TestIncidentsAreShort(t *testing.T) {
	for _, e := range Incidents() {
		p, err := Load(e.Name, []byte(e.Text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := p.Takes(); d <= 0 || d > 80*time.Second {
			t.Errorf("%s sends for %v, want up to 80s", e.Name, d)
		}
	}
}
