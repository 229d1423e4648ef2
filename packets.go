package kabench

import "fmt"

// seePackets closes the private network, whose packets have all been sent, and puts
// what it saw into the document and the directory.
func (r *run) seePackets() {
	if !r.target.Networked() {
		return
	}
	seen, evidence, err := r.target.Packets(r.failures.Kept(), r.epoch)
	if err != nil {
		r.doc.Invalid = append(r.doc.Invalid, fmt.Sprintf("the network did not last until the run was over: %v; what was sent after that arrived nowhere", err))
	}
	r.doc.Packets = seen
	if r.writer == nil {
		return
	}
	if err := r.writer.WritePackets(r.target.WritePackets); err != nil {
		r.warnf("the packets are not kept: %v", err)
	}
	if err := r.writer.WriteEvidence(evidence); err != nil {
		r.warnf("the packets of the failures are not kept: %v", err)
	}
}
