// Package tune searches for the settings of a pool that meet a goal at the least cost.
//
// It knows neither pools nor runs: it has axes of settings, and a function that says
// whether a choice of settings meets the goal, and what it costs. A grid over all axes comes
// first, and then the places between a choice that meets the goal and one that does not, or
// that costs less, are divided again and again. With one to three axes, and a boundary that
// is mostly monotone, that finds the boundary as exactly as a model of the surface would,
// and each of its steps can be read.
package tune
