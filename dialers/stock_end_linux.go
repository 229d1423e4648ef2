package dialers

import (
	"net"
)

// inReset reports whether conn ended without a last word of ours: after an RST,
// whoever was told of it. A FIN alone leaves it in CLOSE_WAIT.
func inReset(conn net.Conn) bool {
	info, known := connInfo(conn)
	return known && info.State == "CLOSE"
}
