// Package limit has limits of exchanges in flight that follow what the exchanges say: pure
// functions from a state and a sample to the next state, without a clock and without a
// random source.
//
// The algorithms and their defaults are those of Netflix's concurrency-limits at commit
// 78a74b98 (2026-01-12), in package com.netflix.concurrency.limits.limit: AIMDLimit,
// VegasLimit, Gradient2Limit, and WindowedLimit around any of them.
package limit
