package kernel

import "github.com/kabench/kabench/internal/watch"

// Want is what to watch.
type Want struct {
	watch.Ends

	// Namespace is the number of the network namespace, as the link /proc/PID/ns/net has it;
	// 0: every namespace.
	Namespace uint32
}

// says is what the layer sees, for people.
const says = "changes of TCP states, RSTs and retransmissions, as the kernel makes them"

// off is a layer that sees nothing.
func off(lacks string) *Layer {
	return &Layer{sees: watch.Sees{Layer: watch.Kernel, Says: "nothing", Lacks: lacks}}
}
