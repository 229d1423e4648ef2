// Package secrets finds credentials in what a user gives kabench: by the names of
// headers and parameters ([Named]), in URLs ([InURL], [RedactURL]), and in text of
// any format, however broken ([InText]). It errs on the side of secrecy.
//
// It only finds. redact.Secrets takes what was found out of texts and records.
package secrets

// Blanked replaces a secret in what is shown or kept.
const Blanked = "(blanked)"
