// Package lab is servers that behave, and misbehave, on script: [Server] speaks
// HTTP/1.1 on raw connections and remembers the story of each of them; [Link]
// puts a round trip between a client and a server.
package lab
