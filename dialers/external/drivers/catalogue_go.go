package drivers

// goDrivers are the drivers in Go.
//
// Their sources are packages of this module, so that the compiler and vet see them, and
// of the same module where they are built alone: golang/module is its go.mod. (A file
// named go.mod in the folder would make the folder a module of its own, which cannot be
// embedded.) They import the standard library and golang/kit only, so that a build
// downloads nothing.
var goDrivers = []Entry{
	{
		Name: "go", Client: "Go net/http", Language: Go,
		Preset:  []string{"go-default-transport", "go-tuned"},
		Note:    "net/http of the Go that builds it",
		Sources: goSources("golang/nethttp/main.go"),
	},
}

// goSources are the sources of a driver in Go: the files of its main package, and the kit.
func goSources(main ...string) []string {
	const kit = "golang/kit/"
	sources := []string{"golang/module=go.mod"}
	for _, file := range []string{"kit.go", "settings.go"} {
		sources = append(sources, kit+file+"=dialers/external/drivers/"+kit+file)
	}
	return append(sources, main...)
}
