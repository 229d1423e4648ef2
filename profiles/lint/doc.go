// Package lint checks, without any traffic, whether client, load balancer and
// server of a profile are set to one another: who closes idle connections first,
// whether caps and queues fit the load, whether ports last, whether a request may
// be executed twice.
//
// [Check] returns a [Checklist]: the findings, the rules that were checked, and
// those that were not because facts are missing. Each [Finding] has the field to
// change, the rule in one sentence, the two figures that were compared, what the
// problem looks like in results and logs, and what to set.
//
// subject.go sees a profile as the rules need it; each of the other files holds
// one rule or two.
package lint
