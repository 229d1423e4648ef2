// Package fleet has several agents send the requests of one run together: a controller finds
// them, compares their clocks with its own, gives each its share, starts all at one moment,
// and collects their results.
//
// The controller and the agents exchange small JSON messages over core NATS. Results travel
// as parcels, on a connection of their own, after the run. Until the controller has confirmed
// a parcel's hash, the agent's directory is the only copy that counts.
package fleet
