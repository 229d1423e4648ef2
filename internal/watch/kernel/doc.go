// Package kernel reports what happens to the TCP sockets of a service as the kernel does it:
// the changes of their states, the RSTs that are sent and taken, and the segments that are
// sent again.
//
// Four programs (eBPF) sit on tracepoints of the kernel. They look at the network namespace
// and at the ends of a socket, and pass on only events of those that are watched, through a
// ring in memory. They change nothing, and read no payload.
//
// # How the programs are made
//
// They are put together here, instruction by instruction, when the layer is opened. There is
// no compiler and no binary in the repository, so that what runs in the kernel is what a
// reader sees. Where the fields of the kernel's structures are, and in which order a
// tracepoint has its arguments, is read from the types that the running kernel describes (BTF,
// /sys/kernel/btf/vmlinux). Nothing is taken from one version of the kernel.
//
// # What is needed
//
// Linux 5.8, with BTF, and CAP_BPF with CAP_PERFMON, or root, outside of any user namespace.
// Where something is missing, the layer is off, and [Layer.Sees] names it. A tracepoint that
// a kernel lacks is named, and the other ones are used.
//
// # What it can and cannot know
//
// A tracepoint runs on whatever thread the processor was busy with, so an event does not say
// which process it belongs to. It is known by its socket.
//
// The kernel says why it sent a RST from Linux 6.10 on. Older ones do not report the RSTs that
// answer a segment for which there is no socket, or one in TIME_WAIT; a layer that sees packets
// does.
//
// What comes after a socket has gone into TIME_WAIT changes no state, and is not seen: neither
// the peer's FIN, if the service had closed the file before, nor its RST.
package kernel
