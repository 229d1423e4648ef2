// Package script holds the scripts of the servers, proxies and links that
// kabench runs itself: what a [Server] responds and how it closes connections,
// which pool a [Proxy] keeps, how long a [Link] takes. They are the sections
// target.lab, target.proxies and target.link of a profile. The package only
// describes and validates them; internal/lab plays them.
package script
