package sandbox

import (
	"fmt"
	"strings"
)

// Choice is how a balancer chooses the backend of a flow it does not know.
type Choice uint8

const (
	SourceHash Choice = iota // by client address and port: the same backend every time
	RoundRobin               // the next backend in turn
)

// Unknown is what a middlebox does with a packet, other than a SYN, of a flow
// that it does not know or has forgotten.
type Unknown uint8

const (
	UnknownPass Unknown = iota // takes the flow up again; a balancer chooses anew
	UnknownDrop                // drops it without a word
	UnknownRST                 // answers the sender with a RST
)

// Expiry is what a middlebox does when it forgets a flow.
type Expiry uint8

const (
	ExpirySilent Expiry = iota // nothing
	ExpiryRST                  // sends a RST to both ends
)

// Action is what a rule does with a packet that it strikes.
type Action uint8

const (
	ActionDrop Action = iota // the packet vanishes
	ActionRST                // the packet vanishes and a RST is sent in its place
)

// RSTTo says who is sent the RST of a rule.
type RSTTo uint8

const (
	RSTToSender RSTTo = iota
	RSTToReceiver
	RSTToBoth
)

// Fate is what became of a packet.
type Fate uint8

const (
	FateInFlight   Fate = iota // still on the way when the record was read
	FateDelivered              // given to the receiving host
	FateLost                   // by the link's loss
	FateQueueFull              // no room in the queue in front of the link's bandwidth
	FateDropped                // by a rule
	FateForgotten              // dropped by a middlebox that did not know the flow
	FateAnswered               // swallowed; a RST was sent in its place
	FateNotCarried             // no such address, not IPv4, or not TCP where only TCP is balanced
	FateRefused                // the receiving host's device refused it
)

var (
	choiceNames  = []string{"source_hash", "round_robin"}
	unknownNames = []string{"pass", "drop", "rst"}
	expiryNames  = []string{"silent", "rst"}
	actionNames  = []string{"drop", "rst"}
	rstToNames   = []string{"sender", "receiver", "both"}
	fateNames    = []string{"in_flight", "delivered", "lost", "queue_full", "dropped", "forgotten", "answered_rst", "not_carried", "refused"}
)

func nameOf(names []string, v uint8) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("unknown(%d)", v)
}

// setByName sets v to the value that text names; an unknown name is an error
// that lists them all.
func setByName[T ~uint8](v *T, names []string, text []byte) error {
	for i, name := range names {
		if string(text) == name {
			*v = T(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", text, strings.Join(names, ", "))
}

func (v Choice) String() string  { return nameOf(choiceNames, uint8(v)) }
func (v Unknown) String() string { return nameOf(unknownNames, uint8(v)) }
func (v Expiry) String() string  { return nameOf(expiryNames, uint8(v)) }
func (v Action) String() string  { return nameOf(actionNames, uint8(v)) }
func (v RSTTo) String() string   { return nameOf(rstToNames, uint8(v)) }
func (v Fate) String() string    { return nameOf(fateNames, uint8(v)) }

// MarshalText writes the name.
func (v Choice) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// MarshalText writes the name.
func (v Unknown) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// MarshalText writes the name.
func (v Expiry) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// MarshalText writes the name.
func (v Action) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// MarshalText writes the name.
func (v RSTTo) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// MarshalText writes the name.
func (v Fate) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a name; an unknown one is an error that lists them all.
func (v *Choice) UnmarshalText(text []byte) error { return setByName(v, choiceNames, text) }

// UnmarshalText reads a name; an unknown one is an error that lists them all.
func (v *Unknown) UnmarshalText(text []byte) error { return setByName(v, unknownNames, text) }

// UnmarshalText reads a name; an unknown one is an error that lists them all.
func (v *Expiry) UnmarshalText(text []byte) error { return setByName(v, expiryNames, text) }

// UnmarshalText reads a name; an unknown one is an error that lists them all.
func (v *Action) UnmarshalText(text []byte) error { return setByName(v, actionNames, text) }

// UnmarshalText reads a name; an unknown one is an error that lists them all.
func (v *RSTTo) UnmarshalText(text []byte) error { return setByName(v, rstToNames, text) }

// UnmarshalText reads a name; an unknown one is an error that lists them all.
func (v *Fate) UnmarshalText(text []byte) error { return setByName(v, fateNames, text) }
