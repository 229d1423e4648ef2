// Package trace reads when requests came from a log: access logs of nginx, Apache, HAProxy,
// Envoy and AWS load balancers, JSON lines, the results of k6 and vegeta, and the request
// times of an autopsy.
//
// Of a line it keeps the time only. No address, URL or header is stored, and errors quote the
// beginning of a line without what looks like a secret.
package trace
