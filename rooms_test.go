package kabench_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/kabench/kabench"

// The house is this repository, seen as a building whose rooms are its Go packages: a
// room is one package with one task. room says which of our packages a package may
// import, and why not more. docs/architecture.md describes every room.
type room struct {
	may []string
	why string // why it may not import more
}

var rooms = map[string]room{
	"results":                      {[]string{"internal/enum"}, "it is the vocabulary: every room speaks it, so it can know none of them; enum is the text form of its names"},
	"results/compare":              {[]string{"results", "results/record", "results/expect", "internal/layout"}, "what differs between runs must be in their results: who made them, and how, may not sway the verdict"},
	"results/page":                 {[]string{"results", "results/record", "results/text"}, "a report is made of what was kept; what it shows must be in the results"},
	"results/site":                 {[]string{"results", "results/page", "results/record", "results/text", "results/redact", "results/trend"}, "a site is made of reports; of their page it knows the style, and how one is drawn it is told"},
	"results/trend":                {[]string{"internal/layout", "results", "results/compare", "results/record"}, "it compares runs with earlier ones; how that is drawn and published is for others"},
	"dialers/pool":                 {[]string{"internal/enum"}, "the rules are pure: no clock, no socket, nothing that has one"},
	"internal/host":                {nil, "it says what the machine says; what that means is for others"},
	"internal/lab":                 {[]string{"profiles/script", "internal/lab/serve", "internal/lab/story"}, "a server that shares code with the client under test would share its faults"},
	"internal/sandbox":             {[]string{"profiles/network", "internal/enum"}, "it is a network: it carries any program's packets, and a link that knew what it carries could favour it"},
	"internal/bench":               {nil, "it runs kabench as built and beside others, as a user would; what shares code with it would measure itself"},
	"internal/wording":             {[]string{"results"}, "it is a table of other people's words for our phases and causes; what ran, and how, it need not know"},
	"internal/live":                {[]string{"results", "results/page", "results/text", "internal/serving"}, "it shows a run to those who ask; what it could steer, a browser could"},
	"internal/chromium":            {nil, "it is a browser for tests, whatever page they look at"},
	"internal/layout":              {nil, "it fits text into columns, whatever the text says"},
	"internal/http1":               {nil, "it parses bytes: a parser that knew the pool's rules could be kind to one of them"},
	"internal/transport":           {[]string{"results", "internal/poll"}, "it moves bytes and asks the kernel: what the bytes mean, and when a connection is used, is for others"},
	"internal/judge":               {[]string{"results", "results/expect"}, "it judges documents: what it could look at beside them, a run rebuilt from its record would lack"},
	"internal/names":               {[]string{"profiles/network"}, "it answers and asks for names as a network describes them; what is served there, and how a run uses it, is for others"},
	"internal/target":              {[]string{"internal/names", "internal/evidence", "internal/evidence/ladder", "internal/evidence/segments", "results", "dialers", "profiles", "internal/lab", "internal/sandbox", "internal/host", "internal/lab/proxy", "profiles/network", "profiles/script", "profiles/targets", "results/redact", "internal/lab/story"}, "it stands before a run begins: how the run is made, watched and judged may not change what is served"},
	"internal/capacity":            {[]string{"results", "dialers/pool", "profiles", "internal/host", "results/expect"}, "it compares a profile with a machine, before there is a target or a run"},
	"internal/poll":                {nil, "it waits for descriptors and the clock, and knows nothing of what they are for"},
	"generator":                    {[]string{"results", "internal/poll", "internal/enum", "generator/limit"}, "it decides when, whatever performs the exchanges: an Engine is an interface declared there"},
	"generator/limit":              {[]string{"results", "internal/enum"}, "its functions are pure: what could read a clock or draw a number, a run and a forecast could not share"},
	"dialers":                      {[]string{"results", "dialers/pool", "internal/http1", "internal/transport", "internal/poll"}, "a connection must not know why or when it is used"},
	"dialers/external":             {[]string{"dialers", "dialers/external/process", "internal/evidence", "internal/poll", "internal/wording", "results"}, "it hands requests to a process and reads its answers; which client that is, and when a request is due, it is told"},
	"dialers/external/process":     {nil, "it runs a program and passes bytes; what they mean, it need not know"},
	"dialers/external/check":       {[]string{"dialers", "dialers/external", "results"}, "it speaks to a driver as a run does, and measures no run"},
	"collectors":                   {[]string{"results", "dialers", "internal/host", "results/timings"}, "they watch; what they could steer they would shape"},
	"profiles":                     {[]string{"internal/enum", "results", "generator", "dialers/pool", "internal/nearest", "profiles/script", "profiles/settings", "profiles/network", "internal/strictyaml", "internal/secrets", "profiles/targets", "results/expect", "results/redact", "profiles/trace"}, "a profile is data: it holds the rooms' config structs and the results' conditions, and starts nothing"},
	".":                            {[]string{"results", "results/compare", "dialers", "dialers/pool", "generator", "collectors", "profiles", "internal/sandbox", "internal/host", "internal/poll", "internal/wording", "internal/live", "internal/judge", "internal/target", "internal/capacity", "results/record", "results/expect", "results/redact", "dialers/external", "dialers/external/drivers", "internal/evidence", "internal/evidence/segments", "internal/witness", "profiles/settings", "results/timings", "profiles/schema"}, "it is where the rooms meet; the command line is one of its callers"},
	"cmd/kabench":                  {[]string{".", "internal/cli", "internal/cli/clients", "internal/cli/kept", "internal/cli/measure", "internal/cli/own", "internal/cli/study", "internal/exit", "internal/layout", "internal/usage", "profiles", "internal/cli/fleet", "internal/cli/ci", "internal/cli/foresee", "internal/cli/watching"}, "it puts the commands together; what they do is in the rooms of commands"},
	"internal/aim":                 {[]string{"results", "profiles", "profiles/lint", "profiles/script", "dialers/pool", "generator"}, "it computes what will happen; what it could open or ask the clock, it could not compute beforehand"},
	"internal/cli":                 {[]string{".", "collectors", "dialers/external/drivers", "generator", "internal/aim", "internal/consent", "internal/evidence", "internal/exit", "internal/host", "internal/incidents", "internal/layout", "internal/poll", "internal/probe", "internal/secrets", "internal/serverfile", "internal/target", "internal/terminal", "internal/usage", "internal/way", "internal/wording", "profiles", "profiles/lint", "results", "results/record", "results/text", "internal/children", "internal/fleet", "internal/fleet/broker", "internal/interrupt", "results/expect"}, "it is what commands share, so it can know none of them"},
	"internal/cli/measure":         {[]string{".", "collectors", "dialers", "internal/aim", "internal/children", "internal/cli", "internal/exit", "internal/incidents", "internal/interrupt", "internal/lab", "internal/lab/proxy", "internal/layout", "internal/live", "internal/resultsdir", "internal/usage", "profiles", "profiles/matrix", "results", "results/compare", "results/record", "internal/telemetry", "internal/telemetry/otlp", "internal/telemetry/scrape", "results/baselines"}, "a command reads its line and calls the room that does the work; what two rooms of commands need is in internal/cli"},
	"internal/cli/fleet":           {[]string{"internal/cli", "internal/fleet/manifest", "internal/usage", "internal/exit", "internal/fleet", "internal/fleet/broker", "internal/interrupt"}, "a command reads its line and calls the room that does the work; what two rooms of commands need is in internal/cli"},
	"internal/fleet/faults":        {nil, "it has nothing except tests, which run kabench as built"},
	"internal/fleet/manifest":      {nil, "it writes what Kubernetes reads; what agents do, and how they are reached, it writes down as command lines"},
	"internal/cli/kept":            {[]string{"internal/cli", "internal/exit", "internal/incidents", "internal/layout", "internal/resultsdir", "internal/usage", "results", "results/export", "results/page", "results/record", "results/redact", "results/site", "results/text", "results/trend"}, "it shows what was kept, so it can start nothing"},
	"internal/cli/clients":         {[]string{".", "dialers/external", "dialers/external/check", "dialers/external/drivers", "internal/cli", "internal/conform", "internal/exit", "internal/interrupt", "internal/layout", "internal/usage", "profiles"}, "a command reads its line and calls the room that does the work; what two rooms of commands need is in internal/cli"},
	"internal/cli/study":           {[]string{".", "internal/cli", "internal/doctor", "internal/exit", "internal/interrupt", "internal/layout", "internal/nearest", "internal/symptoms", "internal/usage", "internal/wording", "profiles", "profiles/lint", "profiles/settings", "internal/telemetry/dashboard", "profiles/schema", "dialers/pool", "internal/imports", "profiles/targets"}, "it shows what kabench knows before a run; results of runs are for others"},
	"internal/cli/own":             {[]string{".", "internal/aim", "internal/autopsy", "internal/cli", "internal/consent", "internal/diagnose", "internal/evidence", "internal/exit", "internal/interrupt", "internal/layout", "internal/probe", "internal/probepage", "internal/resultsdir", "internal/secrets", "internal/serverfile", "internal/target", "internal/terminal", "internal/usage", "internal/wording", "profiles", "profiles/lint", "results", "results/page", "results/record", "results/text", "internal/applog", "internal/autopsy/incident", "internal/autopsypage", "internal/capture", "internal/capture/redact", "internal/evidence/segments", "internal/cli/verdict"}, "a command reads its line and calls the room that does the work; what two rooms of commands need is in internal/cli"},
	"internal/lab/proxy":           {[]string{"profiles/script", "internal/lab/serve", "internal/lab/story"}, "as the server's: a proxy that shares code with the client under test would share its faults"},
	"internal/lab/serve":           {nil, "it accepts connections and reads from them, whoever serves"},
	"internal/lab/story":           {nil, "it remembers what a server or a proxy tells it"},
	"internal/sandbox/sandboxtest": {[]string{"internal/sandbox"}, "it puts tests into a namespace, whatever they test"},
	"internal/lab/labtest":         {nil, "it is a client for tests, and must not know how what it tests is made"},
	"internal/diagnose":            {[]string{"internal/evidence", "internal/wording", "profiles", "profiles/lint", "results"}, "it decides what is tried, and what the outcome means; who explains, measures and runs, it need not know"},
	"internal/way":                 {[]string{"profiles", "profiles/network", "profiles/script"}, "it changes a profile; who runs it, and how, it need not know"},
	"internal/consent":             {nil, "it looks at an address; what would be sent there it is told"},
	"internal/evidence":            {[]string{"internal/enum", "results"}, "it judges what was seen, whoever saw it: a probe, a capture, a log or a watched process"},
	"internal/probe":               {[]string{"internal/evidence", "dialers", "internal/http1", "internal/transport", "internal/secrets"}, "it opens connections and notes what happens on them; what that says of a server is evidence's to say"},
	"internal/chart":               {nil, "it places times; what they are times of, it is told"},
	"internal/witness":             {[]string{"dialers", "dialers/external", "internal/capture", "internal/evidence", "internal/evidence/segments", "internal/lab/story", "internal/packetring", "results"}, "it says what the wire shows of a client's requests; what the client says, and what a run makes of it, would sway it"},
	"internal/autopsypage":         {[]string{"internal/autopsy", "internal/chart", "internal/evidence", "internal/layout", "results", "results/page"}, "it draws a verdict; it reads no capture, and knows no command"},
	"internal/probepage":           {[]string{"internal/chart", "internal/evidence", "internal/layout", "internal/probe", "results", "results/page"}, "it draws what a probe has found; it measures nothing, and knows no command"},
	"internal/serverfile":          {[]string{"internal/evidence", "internal/strictyaml", "profiles", "profiles/script", "profiles/schema"}, "it writes down what was measured, whoever measured it and whatever reads it"},
	"internal/enum":                {[]string{"internal/nearest"}, "it turns names into values and back, whatever they are names of; so rooms that know nothing may know it"},
	"internal/nearest":             {nil, "it compares words, whatever they name"},
	"profiles/network":             {[]string{"internal/enum"}, "it describes a network; whoever makes it, or lints it, knows the description and not the other way round"},
	"profiles/script":              {[]string{"internal/enum"}, "a script says what a server does; whoever plays it, or lints it, knows the script and not the other way round"},
	"internal/strictyaml":          {[]string{"internal/nearest"}, "it reads and writes documents of any kind; of our words it knows one function, which finds the nearest name"},
	"internal/secrets":             {nil, "it finds what looks like a credential in any text; whose it is, and where it may be shown, is for others"},
	"profiles/targets":             {[]string{"internal/secrets", "internal/nearest"}, "it reads lists of requests; what sends them, and when, they do not say"},
	"profiles/settings":            {[]string{"results", "dialers/pool", "internal/nearest", "internal/strictyaml"}, "it writes a pool's values in the words of a client; why they are to be set, and which client it is, it is told"},
	"profiles/matrix":              {[]string{"profiles", "internal/strictyaml", "results", "internal/layout"}, "it says which profiles a comparison runs; how they are run and compared is for others"},
	"profiles/lint":                {[]string{"profiles", "profiles/targets", "internal/strictyaml", "results", "generator", "dialers/pool", "profiles/network", "profiles/script"}, "it compares the numbers of a profile; what a client's log says it is told, and it starts nothing"},
	"internal/exit":                {[]string{"results"}, "an exit code follows from a result; who made the result, and how, may not change it"},
	"internal/children":            {nil, "it runs programs, whatever they do"},
	"internal/symptoms":            {[]string{"internal/nearest", "internal/wording", "profiles"}, "it compares a symptom with what the library says of its incidents; it runs none, and what users are shown is for others"},
	"internal/incidents":           {[]string{"results", "internal/children", "internal/exit", "internal/layout", "results/record", "results/text"}, "it goes by what processes print and keep; what they ran, it need not know"},
	"internal/gallery":             {[]string{"results/page", "profiles", "internal/children", "internal/incidents", "internal/exit", "internal/interrupt", "results/record", "results/text", "results/redact"}, "it writes the reports of kabench as built, so it cannot be a part of it"},
	"internal/doctor":              {[]string{"internal/host", "internal/poll"}, "it judges the machine; the load by which it measures the rate is given to it"},
	"internal/resultsdir":          {[]string{"results", "results/compare", "results/record"}, "it finds what was kept; what is made of it is for others"},
	"internal/usage":               {[]string{"internal/layout", "internal/nearest"}, "it speaks of command lines; what the commands do, they know"},
	"internal/terminal":            {[]string{"internal/layout"}, "it draws lines, whatever they say"},
	"internal/glass":               {nil, "it is a terminal for tests, whatever is drawn on it"},
	"internal/interrupt":           {[]string{"internal/exit", "."}, "it ends a command when the user says so, whatever the command does; the root knows the signals"},
	"results/record":               {[]string{"results", "results/record/join", "results/record/ends", "internal/judge"}, "it keeps results and reads them back; who reads them, and what a reader makes of them, does not change a file"},
	"results/record/ends":          {[]string{"results"}, "it is the form of a line; where lines are kept, and what becomes of them, is for the record"},
	"results/record/join":          {[]string{"results"}, "it adds figures, whoever kept them; where a run's files are, and how they are written, is for the record"},
	"results/expect":               {[]string{"results", "internal/nearest"}, "it checks documents, wherever they come from: a run that goes on has no directory to look into"},
	"results/text":                 {[]string{"results", "results/record", "results/expect", "internal/layout"}, "it prints what was kept, for people; tools and pages have rooms of their own"},
	"results/export":               {[]string{"results", "results/record", "results/text", "internal/layout"}, "it writes what was kept, for other tools; of our own texts it knows the headline"},
	"results/redact":               {[]string{"results", "results/record", "results/expect"}, "it changes documents before anybody prints them, so it can know no renderer"},

	"dialers/external/drivers":                {[]string{"dialers/external", "internal/nearest"}, "it builds programs and says how they are started; what they are asked, and what is made of their words, it need not know"},
	"dialers/external/drivers/golang/kit":     {nil, "it is compiled alone, outside this module, into drivers in Go"},
	"dialers/external/drivers/golang/nethttp": {[]string{"dialers/external/drivers/golang/kit"}, "it is compiled alone, outside this module: a driver is one client and the kit"},
	"dialers/external/drivers/proxies":        {[]string{"dialers/external/drivers/golang/kit"}, "it is compiled alone, outside this module: a driver is one client and the kit"},

	"internal/applog":            {[]string{"internal/evidence", "internal/layout", "internal/secrets", "internal/unpack", "results"}, "it reads lines; what the connections in them mean together is for others"},
	"internal/unpack":            {nil, "it opens files, whatever is in them"},
	"internal/autopsy":           {[]string{"internal/applog", "internal/capture", "internal/evidence", "internal/evidence/segments", "internal/secrets", "internal/unpack", "results"}, "it judges what captures and logs hold; what to set and what lint says follows from its verdict"},
	"internal/capture":           {[]string{"internal/evidence/segments", "internal/unpack"}, "it reads files; what the segments in them mean is for others"},
	"internal/autopsy/incident":  {[]string{"internal/aim", "internal/autopsy", "internal/evidence", "internal/serverfile", "profiles", "profiles/script", "results", "profiles/schema"}, "it turns a verdict into a profile; what was captured, and who runs the profile, it need not know"},
	"internal/capture/redact":    {[]string{"internal/capture/remade", "internal/evidence/segments"}, "it writes segments again; what they were read from, and what follows from them, it need not know"},
	"internal/evidence/ladder":   {[]string{"internal/evidence", "internal/evidence/segments"}, "it tells what a link saw; whose link it is, and what the words of run.json are, is for others"},
	"internal/evidence/segments": {[]string{"internal/evidence", "internal/http1"}, "it follows connections in segments, whoever captured them, and reads what they carry; what follows for a server is for others"},

	"internal/fleet/broker":  {nil, "it carries messages, whatever they say; who is in a fleet, and what a run is, it need not know"},
	"internal/fleet/machine": {nil, "it asks the system; what an agent or a controller does with the answer, it need not know"},
	"internal/fleet/parcel":  {nil, "it carries files, whatever is in them; a controller and an agent hold the ends"},

	"internal/conform":             {[]string{"dialers", "dialers/external", "dialers/pool", "internal/nearest", "internal/strictyaml", "profiles", "results"}, "it compares a client with a preset: which clients there are, and how they are built, it is told; its server shares no code with the clients that it judges"},
	"internal/fleet":               {[]string{".", "profiles", "results", "internal/fleet/broker", "internal/fleet/machine", "internal/fleet/parcel", "profiles/targets"}, "it brings a run to agents and their results back; how requests are sent, and what results mean, is for others"},
	"results/timings":              {[]string{"results"}, "it counts durations in buckets, whoever asks for them"},
	"internal/serving":             {nil, "it listens, whatever is served"},
	"internal/telemetry":           {[]string{".", "results", "results/timings"}, "it names figures; how they are measured, and how they leave, is for others"},
	"internal/telemetry/scrape":    {[]string{"internal/serving", "internal/telemetry", "results/timings"}, "it serves metrics; which there are, it is told"},
	"internal/telemetry/otlp":      {[]string{".", "internal/telemetry", "results", "results/timings"}, "it sends metrics away; which there are, it is told"},
	"internal/telemetry/dashboard": {nil, "it writes queries; what they find, Prometheus knows"},
	"profiles/schema":              {nil, "it has what editors need to know of files; what kabench makes of them it need not know"},
	"internal/imports":             {[]string{"internal/nearest", "internal/secrets", "internal/strictyaml", "profiles/targets"}, "it reads what other programs have written down, and makes what a run reads; it opens no file and sends nothing"},
	"internal/jobs":                {[]string{"results"}, "it runs kabench as built, as a CI system does, and reads the documents that it prints"},
	"internal/cli/ci":              {[]string{"internal/cli", "internal/exit", "internal/layout", "internal/resultsdir", "internal/usage", "results", "results/baselines"}, "it keeps runs and writes files for other systems, so it can start nothing"},
	"results/baselines":            {[]string{"results", "results/record"}, "it keeps runs, and chooses none: which of them asked the question of a run is for who makes the run"},
	"internal/forecast":            {[]string{"results", "profiles", "profiles/network", "profiles/script", "dialers/pool", "generator", "generator/limit"}, "it plays runs on virtual time; what it could open or ask the clock would make two plays of one seed differ"},
	"internal/proofs":              {[]string{"results"}, "it runs kabench as built, as a user would; what shares code with it would measure itself"},
	"internal/tune":                {nil, "it searches; what a choice is and what it comes to, it is told"},
	"internal/cli/foresee":         {[]string{".", "internal/cli", "internal/exit", "internal/forecast", "internal/interrupt", "internal/layout", "internal/resultsdir", "internal/tune", "internal/usage", "profiles", "results", "results/expect", "results/record", "results/text"}, "a command reads its line and calls the room that does the work; what two rooms of commands need is in internal/cli"},
	"internal/watch":               {[]string{"internal/evidence", "internal/evidence/segments"}, "what was seen is judged alike, whoever looked: it has no socket, no clock and no goroutine"},
	"internal/cli/watching":        {[]string{"internal/autopsy", "internal/autopsypage", "internal/capture/remade", "internal/chart", "internal/cli", "internal/cli/verdict", "internal/evidence", "internal/evidence/segments", "internal/exit", "internal/host", "internal/interrupt", "internal/layout", "internal/nearest", "internal/resultsdir", "internal/serverfile", "internal/serving", "internal/terminal", "internal/usage", "internal/watch", "internal/watch/closes", "internal/watch/freed", "internal/watch/gauges", "internal/watch/kernel", "internal/watch/packets", "internal/watch/place", "internal/watch/sockets", "profiles", "results", "results/expect", "results/record"}, "a command reads its line and calls the room that does the work; the layers look, and internal/watch judges"},
	"internal/watch/freed":         {[]string{"internal/watch"}, "it passes on the kernel's last word about a socket; what follows from it is for others"},
	"internal/capture/remade":      {[]string{"internal/evidence/segments"}, "it makes packets of segments; where they were seen, and who may see them, is for others"},
	"internal/cli/verdict":         {[]string{"internal/applog", "internal/autopsy", "internal/cli", "internal/evidence", "internal/layout", "internal/serverfile", "internal/terminal", "internal/wording", "profiles", "profiles/lint", "results"}, "it prints a verdict, whichever command has come to it"},
	"internal/watch/kernel":        {[]string{"internal/host", "internal/watch"}, "it passes on what the kernel does to sockets; who closed first, and what that means, follows from it elsewhere"},
	"internal/watch/packets":       {[]string{"internal/capture", "internal/evidence/segments", "internal/packetring", "internal/watch"}, "it passes headers on; which connections they make, and how those end, is for segments"},
	"internal/packetring":          {nil, "it takes packets, whoever asks, and knows no word of what they mean"},
	"internal/watch/closes":        {[]string{"internal/evidence", "internal/watch"}, "it judges the order of events, whoever reported them, so that it can be tested with any order"},
	"internal/watch/services":      {[]string{"dialers/external/drivers"}, "it has services for tests of what watches services; who watches them, and how, it need not know"},
	"internal/watch/sockets":       {[]string{"internal/host", "internal/watch"}, "it looks at sockets; what that says of a service is for others"},
	"internal/watch/gauges":        {[]string{"internal/watch"}, "it reads what a pool says of itself; whether that is so is for others"},
	"internal/watch/place":         {nil, "it finds processes and their network; what happens there it need not know"},
	"profiles/trace":               {[]string{"generator", "internal/secrets", "internal/unpack"}, "it reads when requests came; what sends them again, and where to, it need not know"},
}

// folders are the top-level folders there may be.
var folders = map[string]bool{
	"cmd": true, "generator": true, "dialers": true, "collectors": true, "profiles": true, "results": true,
	"internal": true, "docs": true, ".ci": true,
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "kabench-results") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		name := path.Dir(filepath.ToSlash(file))
		r, known := rooms[name]
		if !known {
			t.Errorf("%s: the package %s is not in the table of rooms; add it with what it may import, and the reason", file, name)
			return nil
		}
		seen[name] = true
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			ours, isOurs := strings.CutPrefix(imported+"/", module+"/")
			if ours = path.Clean(ours); isOurs && !slices.Contains(r.may, ours) {
				t.Errorf("%s imports %s, and %s may not: %s", file, ours, name, r.why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range rooms {
		if !seen[name] {
			t.Errorf("the table of rooms has %s, and there is no such package", name)
		}
	}
}

func TestTopLevelFolders(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != ".git" && e.Name() != "kabench-results" && !folders[e.Name()] {
			t.Errorf("%s: a folder at the top that has no place in the plan; put it under internal/", e.Name())
		}
	}
}
