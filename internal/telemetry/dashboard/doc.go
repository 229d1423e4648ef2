// Package dashboard writes a Grafana dashboard of kabench's metrics, with the pools of real
// clients and of Envoy beside them, as these publish their own gauges.
package dashboard
