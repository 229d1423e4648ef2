package lab

// Seen counts what a Server saw since its start. Connections are counted as
// closed when they are.
type Seen struct {
	Connections  uint64 // accepted
	Requests     uint64 // whose head was read
	ClosedIdle   uint64 // connections closed by the idle timeout
	ClosedFirst  uint64 // connections the server closed before the client did, those and Server.Close's included
	ClientClosed uint64 // connections the client closed or reset first
	Executed     uint64 // requests that were read whole, and so had their effect, answered or not
	Duplicates   uint64 // of them, those whose X-Request-Id had been executed before; see Server.Executions
	Reloads      uint64 // of the server
}
