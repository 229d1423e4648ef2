package faults

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/fleet/parcel"
)

// docs/fleet.md says how far a fleet goes: what was measured on one machine, and what follows
// for more agents.
const (
	docsFile    = "../../../docs/fleet.md"
	docsHeading = "## How far it goes"
)

// figure is something that was measured, in the order of the table in docs/fleet.md.
type figure struct {
	name  string
	what  string
	value float64
}

// The names of the figures.
const (
	beatBytes     = "bytes of a beat"
	otherBytes    = "bytes of another message"
	carriedBeats  = "beats/s"
	answeredAsks  = "questions/s"
	carriedBytes  = "MB/s of results"
	carriedParcel = "parcels/s"
	recordBytes   = "bytes of an exchange"
	joinedRate    = "exchanges/s joined"
)

// meanings are the figures' meanings.
var meanings = []figure{
	{name: beatBytes, what: "as agents sent them in a run of 1,000/s each"},
	{name: otherBytes, what: "questions about the time, hellos and their responses, the mean"},
	{name: carriedBeats, what: "from 1,000 connections to one subscriber, as fast as it goes"},
	{name: answeredAsks, what: "questions about the time, from 1,000 connections to one that responds, 1,000 at a time"},
	{name: carriedBytes, what: "from four agents to the controller's disk, through JetStream, which syncs each message"},
	{name: carriedParcel, what: "parcels of 100 kB, four at a time"},
	{name: recordBytes, what: "in the compressed record"},
	{name: joinedRate, what: "exchanges that are joined from four records into one"},
}

// assumed is the load for which the table of docs/fleet.md is computed.
const (
	assumedRate    = 1_000 // requests each second of each agent
	assumedSeconds = 60
)

// control is what agents say to the controller in each second of a run.
type control struct {
	beats, asks, hellos float64 // of one agent
}

// controlOf computes it from the constants of internal/fleet.
func controlOf(t *testing.T) control {
	each := func(name string) float64 { return float64(time.Second) / number(t, "..", name) }
	return control{beats: each("beatEvery"), asks: each("measureEvery") * number(t, "..", "inRound"), hellos: each("helloEvery")}
}

// messages is how many messages reach the broker; all of them leave it once. Questions and
// hellos have responses.
func (c control) messages() float64 { return c.beats + 2*c.asks + 2*c.hellos }

func (c control) bytes(of map[string]float64) float64 {
	return c.beats*of[beatBytes] + 2*(c.asks+c.hellos)*of[otherBytes]
}

// busy is the share of the broker's time that the messages of one agent take.
func (c control) busy(of map[string]float64) float64 {
	return c.beats/of[carriedBeats] + (c.asks+c.hellos)/of[answeredAsks]
}

// derived is the second table: what follows for n agents.
func derived(c control, of map[string]float64) string {
	var b strings.Builder
	b.WriteString("| agents | requests/s | messages/s | control, kB/s | of the broker's time | results, MB | parcels' chunks | carried in | joined in |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, n := range []float64{4, 20, 100, 1_000} {
		exchanges := n * assumedRate * assumedSeconds
		bytes := exchanges * of[recordBytes]
		carry := max(bytes/(of[carriedBytes]*1e6), n/of[carriedParcel])
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.1f %% | %s | %s | %s | %s |\n", grouped(n), grouped(n*assumedRate), grouped(n*c.messages()),
			grouped(n*c.bytes(of)/1e3), 100*n*c.busy(of), grouped(bytes/1e6), grouped(max(bytes/parcel.ChunkBytes, n)),
			duration(carry), duration(exchanges/of[joinedRate]))
	}
	return b.String()
}

// limits are the sentences below the tables.
func limits(c control, of map[string]float64) string {
	full := 1 / c.busy(of)
	thousand := 1_000 * assumedRate * assumedSeconds * of[recordBytes]
	return fmt.Sprintf("Control alone would keep such a broker busy with about %s agents. Results come after the run, so they need time, not a rate: "+
		"the %s MB of 1,000 agents take %s through the broker, and %s over a line of 1 Gbit/s.\n",
		grouped(roundTo(full, 2)), grouped(thousand/1e6), duration(thousand/(of[carriedBytes]*1e6)), duration(thousand*8/1e9))
}

// roundTo keeps the first digits of v.
func roundTo(v float64, digits int) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'e', digits-1, 64), 64)
	return r
}

// grouped writes a whole number with commas.
func grouped(v float64) string {
	text := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func duration(seconds float64) string {
	switch {
	case seconds < 10:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 120:
		return fmt.Sprintf("%.0f s", seconds)
	}
	return fmt.Sprintf("%.0f min", seconds/60)
}

// number is a constant of a package, as a number; a duration in nanoseconds.
func number(t *testing.T, dir, name string) float64 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			list, ok := d.(*ast.GenDecl)
			if !ok || list.Tok != token.CONST {
				continue
			}
			for _, spec := range list.Specs {
				if v := spec.(*ast.ValueSpec); len(v.Names) == 1 && v.Names[0].Name == name && len(v.Values) == 1 {
					source := must(os.ReadFile(file))
					text := string(source[set.Position(v.Values[0].Pos()).Offset:set.Position(v.Values[0].End()).Offset])
					value, err := types.Eval(set, nil, token.NoPos, strings.ReplaceAll(text, "time.Second", "1000000000"))
					if err != nil {
						t.Fatal(err)
					}
					f, _ := constant.Float64Val(constant.ToFloat(value.Value))
					return f
				}
			}
		}
	}
	t.Fatalf("%s has no constant %s", dir, name)
	return 0
}

var (
	figureRow = regexp.MustCompile(`(?m)^\| ([^|]+) \| ([0-9.,]+) \| [^|]+ \|$`)
	between   = regexp.MustCompile(`(?s)(<!-- measured -->\n).*(<!-- /measured -->\n)`)
)

// measuredTable is the first table.
func measuredTable(of map[string]float64) string {
	var b strings.Builder
	b.WriteString("| measured | value | what |\n| --- | --- | --- |\n")
	for _, f := range meanings {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.name, grouped(of[f.name]), f.what)
	}
	return b.String()
}

// section is what stands between the marks of docs/fleet.md.
func section(c control, of map[string]float64) string {
	return measuredTable(of) + "\n" +
		fmt.Sprintf("Each agent sends %s requests a second for %d s. In each second it says %.0f beat, asks %.1f times what time it is, and asks %.1f times whether it takes part.\n\n", grouped(assumedRate), assumedSeconds, c.beats, c.asks, c.hellos) +
		derived(c, of) + "\n" + limits(c, of)
}

// The arithmetic of docs/fleet.md is that of the constants in the code and of the measured
// figures there. KABENCH_SCALE=write measures again and writes both:
//
//	KABENCH_SCALE=write go test ./internal/fleet/faults -run TestHowFarItGoes -count=1 -v
func TestHowFarItGoes(t *testing.T) {
	text := string(must(os.ReadFile(docsFile)))
	_, ours, found := strings.Cut(text, "\n"+docsHeading+"\n")
	if !found || !between.MatchString(ours) {
		t.Fatalf("%s has no section %q with the marks of what is measured", docsFile, docsHeading)
	}
	c := controlOf(t)
	if os.Getenv("KABENCH_SCALE") == "write" {
		of := measure(t)
		text = between.ReplaceAllString(text, "${1}"+strings.ReplaceAll(section(c, of), "$", "$$")+"${2}")
		if err := os.WriteFile(docsFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	of := map[string]float64{}
	for _, row := range figureRow.FindAllStringSubmatch(ours, -1) {
		of[row[1]] = must(strconv.ParseFloat(strings.ReplaceAll(row[2], ",", ""), 64))
	}
	for _, f := range meanings {
		if of[f.name] <= 0 {
			t.Errorf("%s does not say how many %s were measured", docsFile, f.name)
		}
	}
	if want := section(c, of); !strings.Contains(ours, want) {
		t.Errorf("%s has other figures than follow from the code and from what is measured there; KABENCH_SCALE=write measures again. Want:\n%s", docsFile, want)
	}
}
