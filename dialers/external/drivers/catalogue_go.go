package drivers

// goDrivers are the drivers in Go.
//
// Their sources are packages of this module, so that the compiler and vet see them, and
// of the same module where they are built alone: golang/module is its go.mod. (A file
// named go.mod in the folder would make the folder a module of its own, which cannot be
// embedded.) They import the standard library and golang/kit only, so that a build
// downloads nothing. fasthttp is a module that this one does not need, so its driver is no
// package here, and the name of its file is not one that the go tool reads.
var goDrivers = []Entry{
	{
		Name: "go", Client: "Go net/http", Language: Go,
		Preset:  []string{"go-default-transport", "go-tuned"},
		Note:    "net/http of the Go that builds it",
		Sources: goSources("golang/nethttp/main.go"),
	},
	{
		Name: "fasthttp", Client: "fasthttp", Version: "1.65.0", Language: Go,
		Preset:  []string{"fasthttp"},
		Sources: append(goSources("golang/fasthttp/main.driver=main.go")[1:], "golang/fasthttp/module=go.mod", "golang/fasthttp/sums=go.sum"),
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
