package kabench_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// phrase is a way of writing that readers stumble over, and what to write in its
// place. A reader whose first language is not English must understand each
// sentence at first reading: subject first, active verb, names instead of
// pronouns.
type phrase struct {
	pattern string // regular expression; case does not matter
	instead string
	found   string // a sentence that has it
}

var phrases = []phrase{
	{`\bthat of (what|who|whoever|which)\b`, "name the thing", "the error is that of what failed"},
	{`\bof (which|whom|whose)\b`, "begin a new sentence, or use whose", "runs of which nothing is known"},
	{`\bbut for\b`, "except", "the same, but for the seed"},
	{`\bbear(s|ing)? on\b`, "related to, affects", "counters that bear on the failures"},
	{`\bless else to do\b`, "stop other programs, or add cores", "give this machine less else to do"},
	{`\b(nothing|something) (more )?((can|could) be|is|was) (said|told)\b`, "not judged, not compared, unknown; with the reason", "Of x nothing can be said"},
	{`\bso many\b`, "this many, or name the number", "at most so many of them"},
	{`\b(have|has|had) (its|their) way\b`, "allow it with ...", "or let it have its way with --force"},
	{`\bis let\b`, "is allowed to", "a profile that expects it is let run"},
	{`\bwho\b[^.]{1,80}\bbefore who\b`, "name both sides: the client, the server", "who uses it must close before who serves it does"},
	{`\b(tell|tells|telling|told|speak|speaks|speaking) of\b`, "reports, mentions, gets", "listener is told of events"},
	{`\b(is|are|was|were|be) told\b(?: (?:apart|to)\b)?`, "gets, is reported; cannot be distinguished; name what happens", "the caller is told"},
	{`\b(say|says|said|saying) (nothing |something |more )?of\b`, "says about; or name the field", "what a record says of it"},
	{`\b(a|without a|no) word of (the|a|an|keep)\b`, "name the message: 100 Continue, a header", "waits for a word of the server's"},
	{`\bhow-?many(th)?-?(th)\b`, "the number of the exchange on its connection", "its how-manyth exchange"},
	{`\b(held|hold|holds|holding) (?:[^.;:,]{1,60} )?against\b`, "compare with, check against", "the runs are held against the first"},
	{`\bof what\b`, "name the thing", "a share of what was sent"},
	{`\b(it|they) (is|are|was|were) of (the|a|it|them|this|that|everything|others)\b`, "belongs to, covers, describes", "it is of the first run"},
	{`\bwhat (it|they|that|this) (is|are|was|were) of\b`, "name the thing", "the profile and what it is of"},
	{`\bjust if\b`, "if and only if", "it is kept just if it fits"},
	{`\b(for|from) want of\b`, "for lack of, because there is no", "left out for want of room"},
	{`\ba hand in\b`, "contributed to, caused", "the run has a hand in it"},
	{`\bin the place of\b`, "instead of, in place of, replaces", "110 % in the place of the figure"},
	{`\bmay be (believed|trusted)\b`, "is valid", "whether the run may be believed"},
	{`\bwhat (became|becomes|become) of\b`, "what happens to", "what becomes of a request"},
	{`\b(be|were|was) to be had\b`, "was available", "no connection was to be had"},
	{`'s doing\b`, "caused by", "this is the machine's doing"},
	{`\bto go on with\b`, "to continue, to resume", "a comparison to go on with"},
	{`\bhangs? on (who|what|whether|how|when|gaps)\b`, "depends on", "it hangs on who closes first"},
	{`\b(thereof|thereby|therein|wherein|whereby|whence|hence)\b`, "so, therefore, in which", "and hence the limit"},
	{`\bgo(es|ing)? by (the|a|an|what|when|how|which|who|it|this)\b`, "uses, follows", "the order goes by the last release"},
	{`\bc[oa]mes? to nothing\b`, "fails", "a connect that came to nothing"},
	{`\ball the same\b[^a-z]*(?:$|[.,;:)]| (?:as|and|if|when|before|after|the|which|because))`, "still, anyway", "it is complete all the same."},
	{`\bwhoever\b`, "anyone who, the program that", "whoever asks first"},
	{`\bfrom which [^.]{0,40}\bon\b`, "starting at, from this value", "the count from which on it fails"},
	{`\bnobody's\b`, "belongs to no client, is not a preset's", "a pool that is nobody's"},
	{`\b(is|are|was) known of\b`, "facts about, is known about", "what is known of the server"},
	{`\bheeds?\b`, "obeys, follows, uses", "it heeds no timeout"},
	{`\bc[ao]me(s)? about\b`, "happens, is caused", "how the failure came about"},
	{`\bhow (it|they) c[oa]mes? out\b`, "the outcome, how it ended", "the facts say how it came out"},
	{`\bof (its|their) own accord\b`, "by itself, without being asked", "it closes of its own accord"},
	{`\bto make of\b`, "can be computed, can be done with", "there is nothing to make of it"},
	{`\bin the course of\b`, "during", "in the course of the run"},
	{`\brepl(y|ies)\b`, "response", "the reply has no length"},
	{`\b(all|nothing|none|nobody) but (a|an|the|those|what|one|by|in|for|that|our|this)\b`, "all except, only, no other", "they differ in nothing but the seed"},
	{`\banew\b`, "again, a new", "in an order drawn anew"},
	{`\bsome (few )?([0-9]|tens|hundred)`, "about", "it takes some 0.7 µs"},
	{`\b(is|are|was|were) (not )?to be [a-z]+(ed|en|wn|pt|nt|de)\b`, "must be, should be, will be", "what is to be explained"},
	{`\bc[ao]mes? of (a|an|it|that|its|the|what|them)\b`, "results from", "settle carries out what comes of it"},
	{`\bwhat there is\b`, "the available, everything", "keep writes what there is of it"},
	{`\bat hand\b`, "available, current", "the durations are not at hand"},
	{`\bupon\b`, "on", "what a terminal acts upon"},
	{`\blets? go of\b`, "closes, releases", "the client lets go of it first"},
	{`\btakes? in (what|a|an|that|data)\b`, "adds, receives, counts", "Sample takes in what the gauges said"},
	{`\btells? (whether|how|what|which)\b`, "reports whether, says", "it tells whether they can be used"},
	{`\bin truth\b`, "really", "a FIN that was a RST in truth"},
	{`\bone's own\b`, "your own", "a text of one's own"},
}

// proseFile has the rooms that are not in plain English yet: how many findings each
// has. It may only shrink; a room that is not in it has none.
const proseFile = ".ci/prose.txt"

// TestPlainEnglish looks for the phrases in comments, in texts that are printed and
// in the documentation. Every room has exactly as many findings as proseFile says,
// so that a phrase that comes back is seen, and so is one that went.
//
//	KABENCH_PROSE=list  go test -run TestPlainEnglish -v .   lists all findings
//	KABENCH_PROSE=count go test -run TestPlainEnglish .      writes proseFile
func TestPlainEnglish(t *testing.T) {
	rules := compiled(t)
	list := passages(t)
	found := make([][]string, len(list))
	var all sync.WaitGroup
	for part := range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := part; i < len(list); i += runtime.GOMAXPROCS(0) {
				found[i] = stumbles(list[i], rules)
			}
		})
	}
	all.Wait()
	findings := map[string][]string{}
	for i, p := range list {
		if len(found[i]) > 0 {
			findings[p.room()] = append(findings[p.room()], found[i]...)
		}
	}
	switch os.Getenv("KABENCH_PROSE") {
	case "count":
		writeProse(t, findings)
		return
	case "list":
		for _, room := range slices.Sorted(maps.Keys(findings)) {
			t.Logf("%s: %d\n%s", room, len(findings[room]), strings.Join(findings[room], "\n"))
		}
	}
	allowed := readProse(t)
	for room, list := range findings {
		if len(list) > allowed[room] {
			t.Errorf("%s has %d findings, and %s allows %d:\n%s", room, len(list), proseFile, allowed[room], strings.Join(list, "\n"))
		}
	}
	for room, n := range allowed {
		if now := len(findings[room]); now < n {
			t.Errorf("%s has %d findings, and %s still allows %d: run KABENCH_PROSE=count go test -run TestPlainEnglish .", room, now, proseFile, n)
		}
	}
}

// stumbles returns the findings in a passage.
func stumbles(p passage, rules []*regexp.Regexp) (findings []string) {
	text := strings.Join(p.lines, " ")
	for i, rule := range rules {
		for _, at := range rule.FindAllStringIndex(text, -1) {
			if strings.HasSuffix(text[at[0]:at[1]], " apart") { // to tell two things apart is English
				continue
			}
			findings = append(findings, fmt.Sprintf("%s:%d: %q: write: %s", p.file, p.lineOf(at[0]),
				strings.TrimSpace(text[max(at[0]-30, 0):min(at[1]+30, len(text))]), phrases[i].instead))
		}
	}
	return findings
}

// compiled checks each pattern with its example.
func compiled(t *testing.T) []*regexp.Regexp {
	t.Helper()
	list := make([]*regexp.Regexp, len(phrases))
	for i, p := range phrases {
		list[i] = regexp.MustCompile("(?i)" + p.pattern)
		if !list[i].MatchString(p.found) {
			t.Errorf("the pattern %s does not match %q", p.pattern, p.found)
		}
	}
	return list
}

func writeProse(t *testing.T, findings map[string][]string) {
	t.Helper()
	var text strings.Builder
	for _, room := range slices.Sorted(maps.Keys(findings)) {
		fmt.Fprintf(&text, "%d %s\n", len(findings[room]), room)
	}
	if err := os.WriteFile(proseFile, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readProse(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(proseFile)
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]int{}
	for line := range strings.Lines(string(text)) {
		number, room, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(number)
		if err != nil || n <= 0 || room == "" {
			t.Fatalf("%s: %q is not a number above 0 and a room", proseFile, line)
		}
		allowed[room] = n
	}
	return allowed
}

// passage is a text to read as a whole: a comment, a string literal, a paragraph.
type passage struct {
	file  string
	first int // its first line
	lines []string
}

// room is the package, or the folder of documents, that the passage is in.
func (p passage) room() string {
	if path.Ext(p.file) == ".md" {
		return "docs"
	}
	return path.Dir(p.file)
}

// lineOf is the line of the byte at in the joined lines.
func (p passage) lineOf(at int) int {
	for i, line := range p.lines {
		if at -= len(line) + 1; at < 0 {
			return p.first + i
		}
	}
	return p.first + len(p.lines) - 1
}

// passages reads the whole repository. What is generated, and what other people
// wrote, is left out.
func passages(t *testing.T) (list []passage) {
	t.Helper()
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file = filepath.ToSlash(file)
		if d.IsDir() {
			switch d.Name() {
			case "testdata", ".git", "kabench-results", "echarts", "reports":
				return fs.SkipDir
			}
			return nil
		}
		switch path.Ext(file) {
		case ".go":
			found, err := goPassages(file)
			list = append(list, found...)
			return err
		case ".md", ".yaml", ".js", ".html":
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			list = append(list, textPassages(file, string(text))...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// goPassages are the comments of a file and, unless it is a test, its string
// literals of more than one word.
func goPassages(file string) (list []passage, err error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, group := range parsed.Comments {
		p := passage{file: file, first: set.Position(group.Pos()).Line}
		for _, c := range group.List {
			for line := range strings.Lines(c.Text) {
				line = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(line), "//"), "/*")
				p.lines = append(p.lines, strings.TrimSpace(strings.TrimSuffix(line, "*/")))
			}
		}
		list = append(list, p)
	}
	if strings.HasSuffix(file, "_test.go") {
		return list, nil
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			n.Tag = nil
		case *ast.BasicLit:
			text, err := strconv.Unquote(n.Value)
			if n.Kind == token.STRING && err == nil && strings.Contains(text, " ") {
				list = append(list, passage{file, set.Position(n.Pos()).Line, strings.Split(text, "\n")})
			}
		}
		return true
	})
	return list, nil
}

var (
	codeSpan = regexp.MustCompile("`[^`]*`")
	others   = regexp.MustCompile(`^\s*(- )?(text|pattern|example|source):`) // in YAML: words of other programs and authors
)

// textPassages are the paragraphs of a document, without its code blocks and code
// spans: what commands print is checked where it is printed.
func textPassages(file, text string) (list []passage) {
	isDoc := path.Ext(file) == ".md"
	var p passage
	inCode := false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if isDoc && (strings.HasPrefix(line, "```") || line == "<!-- rooms -->" || line == "<!-- /rooms -->") {
			inCode = !inCode // a block of code, or the table that is made of package comments
			line = ""
		}
		switch path.Ext(file) {
		case ".yaml":
			line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
			if others.MatchString(line) {
				line = ""
			}
		case ".js":
			line = strings.TrimSpace(strings.TrimPrefix(line, "//"))
		case ".md":
			line = codeSpan.ReplaceAllStringFunc(line, func(s string) string { return strings.Repeat("x", len(s)) })
		}
		if line == "" || inCode {
			if p.lines != nil {
				list = append(list, p)
			}
			p = passage{}
			continue
		}
		if p.lines == nil {
			p = passage{file: file, first: i + 1}
		}
		p.lines = append(p.lines, line)
	}
	if p.lines != nil {
		list = append(list, p)
	}
	return list
}
