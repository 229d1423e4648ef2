package network

import (
	"fmt"
	"strings"
)

// Flags are the flags of a TCP header (RFC 9293 §3.1).
type Flags uint8

const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

const flagLetters = "FSRP.U" // in the order of the bits, as tcpdump writes them

// String returns the flags as tcpdump writes them, such as "S.", "P." or "F."; "none"
// if there are none.
func (f Flags) String() string {
	if f == 0 {
		return "none"
	}
	var b strings.Builder
	for i, letter := range flagLetters {
		if f&(1<<i) != 0 {
			b.WriteRune(letter)
		}
	}
	return b.String()
}

// MarshalText writes the text of String; for no flags it is empty.
func (f Flags) MarshalText() ([]byte, error) {
	if f == 0 {
		return nil, nil
	}
	return []byte(f.String()), nil
}

// UnmarshalText reads letters of "FSRP.U"; A stands for the dot.
func (f *Flags) UnmarshalText(text []byte) error {
	*f = 0
	for _, letter := range string(text) {
		if letter == 'A' {
			letter = '.'
		}
		i := strings.IndexRune(flagLetters, letter)
		if i < 0 {
			return fmt.Errorf("%q: %q is no TCP flag; they are F S R P . (ACK) U", text, letter)
		}
		*f |= 1 << i
	}
	return nil
}
