package sandbox

import "github.com/kabench/kabench/internal/enum"

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

var fateNames = enum.Names[Fate]{"in_flight", "delivered", "lost", "queue_full", "dropped", "forgotten", "answered_rst", "not_carried", "refused"}

func (v Fate) String() string                   { return fateNames.Text(v) }
func (v Fate) MarshalText() ([]byte, error)     { return fateNames.Marshal(v) }
func (v *Fate) UnmarshalText(text []byte) error { return fateNames.Unmarshal(text, v) }
