package kabench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/gofrs/flock"

	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/compare"
	"github.com/kabench/kabench/results/expect"
	"github.com/kabench/kabench/results/record"
)

// fileLock is locked by the process that makes the runs of a directory. The file is not
// removed: the lock ends with its process, however that ends.
const fileLock = ".lock"

// lockRuns makes this process the only one that makes runs in dir. Close the lock after
// use.
func lockRuns(dir string) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(dir, fileLock))
	switch locked, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", dir, err)
	case !locked:
		return nil, fmt.Errorf("%s: another kabench is making runs in it; wait until that one has ended", dir)
	}
	return lock, nil
}

// claimForRuns takes dir for several runs, and writes the plan into it. Close the lock
// after the runs.
func claimForRuns(dir string, plan *results.Plan) (lock *flock.Flock, err error) {
	err = record.ClaimWith(dir, func() error {
		if lock, err = lockRuns(dir); err == nil {
			err = record.SavePlan(dir, plan)
		}
		if err != nil {
			_ = os.Remove(filepath.Join(dir, fileLock))
		}
		return err
	})
	if err != nil && lock != nil {
		_ = lock.Close()
	}
	return lock, err
}

// unclaim removes what claimForRuns made, when nothing has been run.
func unclaim(dir string) {
	for _, name := range []string{record.PlanPath(dir), filepath.Join(dir, record.FileIncident), filepath.Join(dir, fileLock), dir} {
		_ = os.Remove(name) // best effort; a directory that holds more stays
	}
}

// settingsOf returns the arms as a plan records them, and whether secrets were blanked.
func settingsOf(arms []ComparedArm) (list []results.Setting, secrets bool, err error) {
	for _, arm := range arms {
		redacted := profiles.Redact(*arm.Profile)
		shown, err := profiles.Marshal(&redacted)
		if err != nil {
			return nil, false, err
		}
		whole, err := profiles.Marshal(arm.Profile)
		if err != nil {
			return nil, false, err
		}
		secrets = secrets || !bytes.Equal(shown, whole)
		list = append(list, results.Setting{Name: arm.Name, Change: arm.Change, Profile: string(shown)})
	}
	return list, secrets, nil
}

// PlannedArms returns the configurations of a plan, so that its comparison can be resumed.
func PlannedArms(plan *results.Plan) ([]ComparedArm, error) {
	if plan.Secrets {
		return nil, errors.New("its profiles had secrets, which were not written: give the arguments that it was started with as well")
	}
	var arms []ComparedArm
	for _, s := range plan.Settings {
		p, err := profiles.Load("", []byte(s.Profile), nil)
		if err != nil {
			return nil, fmt.Errorf("the profile of %s: %w", s.Name, err)
		}
		arms = append(arms, ComparedArm{Name: s.Name, Change: s.Change, Profile: p})
	}
	return arms, nil
}

// asWrittenNow returns the settings with their profiles as this version writes them. Earlier
// versions wrote 0 where there is no cap.
func asWrittenNow(settings []results.Setting) []results.Setting {
	now := slices.Clone(settings)
	for i := range now {
		if p, err := profiles.Load("", []byte(now[i].Profile), nil); err == nil {
			if text, err := profiles.Marshal(p); err == nil {
				now[i].Profile = string(text)
			}
		}
	}
	return now
}

// fitsPlan complains if the comparison is not the one that was planned.
func fitsPlan(plan *results.Plan, arms []ComparedArm, opts CompareOptions) error {
	settings, _, err := settingsOf(arms)
	if err != nil {
		return err
	}
	asked, err1 := json.Marshal(settings)
	planned, err2 := json.Marshal(asWrittenNow(plan.Settings))
	switch {
	case errors.Join(err1, err2) != nil:
		return errors.Join(err1, err2)
	case !bytes.Equal(asked, planned):
		return errors.New("the settings differ from those that the comparison was started with; leave the arguments out, or give the same")
	case opts.Repeats != plan.Repeats:
		return fmt.Errorf("the comparison was started with %d repeats, not %d", plan.Repeats, opts.Repeats)
	case opts.Seed != plan.Seed:
		return fmt.Errorf("the comparison was started with the seed %d, not %d", plan.Seed, opts.Seed)
	}
	return nil
}

// resumed has the runs of a comparison that were made before it was resumed.
type resumed struct {
	dir  string
	runs map[string]results.ComparedRun // as comparison.json has them, by block and arm
}

func openResumed(dir string) (*resumed, error) {
	r := &resumed{dir, map[string]results.ComparedRun{}}
	c, err := record.OpenComparison(dir)
	if err != nil {
		return nil, err
	}
	for _, run := range c.Runs {
		r.runs[placeOf(run.Block, run.Arm)] = run
	}
	return r, nil
}

func placeOf(block int, arm string) string { return strconv.Itoa(block) + " " + arm }

// find returns the run of that block and arm, if it was made; the name of its directory
// begins with base. Runs that were cut off or stopped early do not count.
func (r *resumed) find(block int, arm, base string) (made results.ComparedRun, run compare.Run, found bool) {
	if r == nil {
		return made, run, false
	}
	made = r.runs[placeOf(block, arm)]
	for n := 1; ; n++ {
		name := again(base, n)
		dir, err := record.Open(filepath.Join(r.dir, name))
		if err != nil {
			return made, run, false
		}
		doc, err := dir.Run()
		if err != nil || !doc.Complete || doc.Interrupted && doc.Stopped == nil {
			continue
		}
		if made.Dir != name { // the process was killed before it wrote comparison.json
			made = results.ComparedRun{Arm: arm, Block: block, Dir: name}
		}
		made.Excluded = ""
		return made, compare.Run{Doc: doc, Dir: dir}, true
	}
}

// again returns the name of the directory of a run that is made for the n-th time. What is
// left of earlier tries stays.
func again(base string, n int) string {
	if n == 1 {
		return base
	}
	return fmt.Sprintf("%s-%d", base, n)
}

// freeName returns the first name for a run's directory that is not used in dir.
func freeName(dir, base string) string {
	for n := 1; ; n++ {
		name := again(base, n)
		if _, err := os.Lstat(filepath.Join(dir, name)); errors.Is(err, os.ErrNotExist) {
			return name
		}
	}
}

// keep writes an unfinished comparison, so that it can be read if this
// process is killed.
func (b *comparing) keep() error {
	if b.opts.Out == "" {
		return nil
	}
	c := *b.doc
	c.Arms = append([]results.Arm{}, c.Arms...)
	c.Runs = append([]results.ComparedRun{}, c.Runs...)
	c.Interrupted, c.End = len(c.Runs) < b.opts.Repeats*len(b.arms), time.Now()
	if err := compare.Judge(&c, b.runs); err != nil {
		return err
	}
	return record.SaveComparison(b.opts.Out, &c)
}

// The files of a run on several agents that only its controller needs. They are removed when
// it has the results of all agents.
const (
	fileKept         = "controller.json"
	fileCertificates = "target.pem" // of kabench's own server, for the agents
)

// kept is what a controller must know to judge a run on several agents that another one has
// begun. It is controller.json.
type kept struct {
	Version  string            `json:"version"`
	YAML     string            `json:"profile_yaml"` // without secrets, and without what it expects
	Profile  json.RawMessage   `json:"profile"`      // as the run's document has it
	Expect   map[string]string `json:"expect"`       // a remedy's may name the incident
	Incident *results.Run      `json:"incident,omitempty"`
	Baseline *Baseline         `json:"baseline,omitempty"`
	Notes    []string          `json:"notes"`            // warnings of the checks before the run
	Before   *results.Before   `json:"before,omitempty"` // what this process has opened before the run
	// Serves says that the controller itself serves the target. Served has what was seen
	// there, once the agents have ended; until then it ends with the controller.
	Serves bool         `json:"serves,omitempty"`
	Served *results.Run `json:"served,omitempty"`
	// Ports says when all agents together will have used up the ports of this machine,
	// seconds after the start; 0: they will not, or are not on one machine.
	Ports float64 `json:"ports,omitempty"`
}

// keepFor is what is kept of a run.
func keepFor(p *plan, opts Options) (*kept, error) {
	redacted := profiles.Redact(*p.profile)
	k := &kept{
		Version: opts.Version, Expect: redacted.Expect, Incident: opts.Incident, Baseline: p.baseline, Notes: p.notes,
		Serves: target.Serves(p.profile),
	}
	var err error
	if k.Profile, err = json.Marshal(&redacted); err != nil {
		return nil, err
	}
	redacted.Expect, redacted.Remedies = nil, nil
	text, err := profiles.Marshal(&redacted)
	k.YAML = string(text)
	return k, err
}

// save writes k into dir.
func (k *kept) save(dir string) error {
	text, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	if err := record.WriteWhole(filepath.Join(dir, fileKept), append(text, '\n')); err != nil {
		return fmt.Errorf("%s: %w; free space or choose another --out", dir, err)
	}
	return nil
}

// served notes what kabench's own server, proxies and link saw. They may end now.
func (k *kept) served(t *target.Target) {
	k.Served = &results.Run{}
	t.Fill(k.Served)
}

// fill sets, in the document of the run, what is not known from the agents.
func (k *kept) fill(run *results.Run) {
	if k.Ports > 0 {
		if run.Ports == nil {
			run.Ports = &results.Ports{}
		}
		run.Ports.Predicted = k.Ports
	}
	if b := k.Before; b != nil {
		if run.Before == nil {
			run.Before = &results.Before{}
		}
		run.Before.Connections += b.Connections
		run.Before.TLS += b.TLS
		run.Before.Reset += b.Reset
	}
	switch {
	case k.Served != nil:
		run.Link, run.Lab, run.Proxy = k.Served.Link, k.Served.Lab, k.Served.Proxy
	case k.Serves:
		run.Invalid = append(run.Invalid, "kabench's own server was the target, and it ended with the controller, which was killed: requests after that could not succeed, and what the server saw is not known. Run it again")
	}
}

// openKept reads what another controller has kept in dir, and makes the run's plan of it.
func openKept(dir string) (*kept, *plan, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileKept))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := record.Open(dir); err == nil {
			return nil, nil, fmt.Errorf("%s: the run in it is complete; 'kabench report %s' shows it", dir, dir)
		}
		return nil, nil, fmt.Errorf("%s: no run on several agents was begun in it; name the directory that --out made", dir)
	}
	k := &kept{}
	if err == nil {
		err = json.Unmarshal(data, k)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", filepath.Join(dir, fileKept), err)
	}
	p, err := profiles.Load("", []byte(k.YAML), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: the profile: %w", filepath.Join(dir, fileKept), err)
	}
	p.Expect = k.Expect
	plan := &plan{profile: p, expect: k.Expect, baseline: k.Baseline, notes: k.Notes}
	if plan.schedule, err = p.Load.Schedule(); err != nil {
		return nil, nil, err
	}
	if plan.abort, err = expect.ParseAbort(p.AbortWhen); err != nil {
		return nil, nil, err
	}
	return k, plan, nil
}
