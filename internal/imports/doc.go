// Package imports turns requests that other programs have written down into what a run sends: a
// curl command becomes a profile (Curl), and a HAR file becomes targets (HAR).
//
// It starts no program, opens no file that the text names, and expands no variable. It leaves
// credentials out unless Options.KeepSecrets is set, and Notes lists them.
package imports
