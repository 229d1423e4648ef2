package network

import "github.com/kabench/kabench/internal/enum"

// Choice is how a balancer chooses the backend of an unknown flow.
type Choice uint8

const (
	SourceHash Choice = iota // by client address and port: the same backend every time
	RoundRobin               // the next backend in turn
)

// Unknown is what a middlebox does with a packet of a flow that it does not know or
// has forgotten, unless the packet is a SYN.
type Unknown uint8

const (
	UnknownPass Unknown = iota // passes it, and knows the flow again; a balancer chooses a backend again
	UnknownDrop                // drops it silently
	UnknownRST                 // drops it and sends a RST to its sender
)

// Expiry is what a middlebox does when it forgets a flow.
type Expiry uint8

const (
	ExpirySilent Expiry = iota // nothing
	ExpiryRST                  // sends a RST to both ends
)

// Leaving is what a balancer does with the flows of a backend that has left.
type Leaving uint8

const (
	LeavingKeep Leaving = iota // sends their packets to the same backend
	LeavingMove                // chooses a backend again, which does not know them and resets them
)

// PortsPer says who shares the ports of a NAT to one destination.
type PortsPer uint8

const (
	PortsPerDestination PortsPer = iota // all clients together
	PortsPerClient                      // nobody: each address of a client has Ports of its own
)

// Action is what a rule does with a packet that matches.
type Action uint8

const (
	ActionDrop Action = iota // drops the packet
	ActionRST                // drops the packet and sends a RST in its place
)

// RSTTo says who is sent the RST of a rule.
type RSTTo uint8

const (
	RSTToSender RSTTo = iota
	RSTToReceiver
	RSTToBoth
)

var (
	choiceNames  = enum.Names[Choice]{"source_hash", "round_robin"}
	unknownNames = enum.Names[Unknown]{"pass", "drop", "rst"}
	expiryNames  = enum.Names[Expiry]{"silent", "rst"}
	leavingNames = enum.Names[Leaving]{"keep", "move"}
	portsNames   = enum.Names[PortsPer]{"destination", "client"}
	actionNames  = enum.Names[Action]{"drop", "rst"}
	rstToNames   = enum.Names[RSTTo]{"sender", "receiver", "both"}
)

func (v Choice) String() string                   { return choiceNames.Text(v) }
func (v Choice) MarshalText() ([]byte, error)     { return choiceNames.Marshal(v) }
func (v *Choice) UnmarshalText(text []byte) error { return choiceNames.Unmarshal(text, v) }

func (v Unknown) String() string                   { return unknownNames.Text(v) }
func (v Unknown) MarshalText() ([]byte, error)     { return unknownNames.Marshal(v) }
func (v *Unknown) UnmarshalText(text []byte) error { return unknownNames.Unmarshal(text, v) }

func (v Expiry) String() string                   { return expiryNames.Text(v) }
func (v Expiry) MarshalText() ([]byte, error)     { return expiryNames.Marshal(v) }
func (v *Expiry) UnmarshalText(text []byte) error { return expiryNames.Unmarshal(text, v) }

func (v Leaving) String() string                   { return leavingNames.Text(v) }
func (v Leaving) MarshalText() ([]byte, error)     { return leavingNames.Marshal(v) }
func (v *Leaving) UnmarshalText(text []byte) error { return leavingNames.Unmarshal(text, v) }

func (v PortsPer) String() string                   { return portsNames.Text(v) }
func (v PortsPer) MarshalText() ([]byte, error)     { return portsNames.Marshal(v) }
func (v *PortsPer) UnmarshalText(text []byte) error { return portsNames.Unmarshal(text, v) }

func (v Action) String() string                   { return actionNames.Text(v) }
func (v Action) MarshalText() ([]byte, error)     { return actionNames.Marshal(v) }
func (v *Action) UnmarshalText(text []byte) error { return actionNames.Unmarshal(text, v) }

func (v RSTTo) String() string                   { return rstToNames.Text(v) }
func (v RSTTo) MarshalText() ([]byte, error)     { return rstToNames.Marshal(v) }
func (v *RSTTo) UnmarshalText(text []byte) error { return rstToNames.Unmarshal(text, v) }
