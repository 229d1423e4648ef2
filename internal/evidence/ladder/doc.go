// Package ladder tells the story of a connection packet by packet, as a link saw it that
// knows when each packet was sent, when it arrived, and what happened to it. Such a link
// leaves nothing to infer: who closed first is who sent the first FIN or RST.
package ladder
