// Package telemetry turns the figures of runs into metrics, with OpenTelemetry's names where
// there are any and kabench's own for the rest. docs/telemetry.md describes every metric. How
// metrics leave the process is for the rooms below this one.
package telemetry
