// Package verdict prints verdicts for the commands that give one, and says what follows from
// them: the setting in the words of the client, and what lint says about its pool.
package verdict
