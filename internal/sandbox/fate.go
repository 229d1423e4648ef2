package sandbox

import "github.com/kabench/kabench/internal/enum"

// Fate is what happened to a packet.
type Fate uint8

const (
	FateInFlight   Fate = iota // in flight when the record was read
	FateDelivered              // delivered to the receiving host
	FateLost                   // lost by the link
	FateQueueFull              // dropped, because the link's queue was full
	FateDropped                // dropped by a rule
	FateForgotten              // dropped by a middlebox that did not know the flow
	FateAnswered               // dropped; a RST was sent in its place
	FateNotCarried             // not IPv4, to an unknown address, or not TCP and to a balancer
	FateRefused                // refused by the receiving host's device
	FateNoPort                 // dropped by a NAT that had no port left for it
	FateTableFull              // dropped by a middlebox that had no room for another flow
)

var fateNames = enum.Names[Fate]{"in_flight", "delivered", "lost", "queue_full", "dropped", "forgotten", "answered_rst", "not_carried", "refused", "no_port", "table_full"}

func (v Fate) String() string                   { return fateNames.Text(v) }
func (v Fate) MarshalText() ([]byte, error)     { return fateNames.Marshal(v) }
func (v *Fate) UnmarshalText(text []byte) error { return fateNames.Unmarshal(text, v) }
