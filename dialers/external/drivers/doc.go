// Package drivers has the drivers of kabench: small programs in which a real HTTP client
// sends the requests. It has their sources, knows with which package versions each is
// built, and builds them into a cache with the tools of this machine.
//
// A driver of a language that is here already takes a source file in the folder of the
// language and an [Entry] in the language's catalogue file.
package drivers
