// Package matrix makes the profiles of a comparison. A [Matrix] names a profile and
// the fields that take one value after another (its axes); it comes from a file or
// from the flags of `kabench compare`. [Matrix.Plan] makes one profile for each
// combination of values, an [Arm] with its name, and refuses what cannot be
// compared.
package matrix
