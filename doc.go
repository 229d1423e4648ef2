// Package kabench shows what a connection-pool configuration does to your traffic. It
// sends requests when they are due, whatever the responses do; takes connections from a
// pool whose every rule is stated; follows each request through its phases down to the
// socket; and says how each failure happened, who closed first, and what it cost.
//
// A profile is the question: load, pool, target and expectations, in YAML or as a
// struct. A run answers it:
//
//	p, err := profiles.LoadFile("mine.yaml", nil)
//	…
//	run, err := kabench.Run(ctx, p, kabench.Options{})
//	…
//	for _, o := range run.Outcomes {
//		fmt.Println(o.Phase, o.Cause, o.Count)
//	}
//
// [Run] makes one run. [Reproduce] runs an incident and its remedies, and says whether
// each remedy cleared it. [Compare] runs several configurations in turn and says where
// they differ. All three begin by checking everything that can be checked without
// traffic; what the user must change is an [InputError].
//
// A program whose profiles have a network must call [ExitIfChild] first in main, because
// each of their runs needs a process of its own.
//
// # The rooms of the house
//
// Each package is a room with one task, and may import only what its task needs:
//
//   - profiles: questions in YAML, and the library of those that come with kabench
//   - generator: decides when each request is due, and keeps to it
//   - dialers: makes connections, keeps them under a policy, performs exchanges and
//     classifies how they ended; dialers/pool has the rules alone, without a socket
//   - collectors: watch while a run goes on
//   - results: the document of a run, and everything that reads it
//   - cmd/kabench: the command line; its commands are in internal/cli
//
// The rooms can be used without this package, for example to send a schedule through a
// client of your own; the examples of generator and collectors show how.
package kabench
