package software

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTutorial runs docs/tutorial.md: it writes the files that the document shows, and
// runs the commands of its console blocks in order, in an empty directory. The Korean
// tutorial has the same blocks (languages_test.go). The rules:
//
//   - The ports 8081 and 8082 become free ports.
//   - A command ends with exit code 0, unless "$ echo $?" follows it and shows another.
//   - The words of each line of output that the document shows are in what the command
//     printed; figures may differ. "..." stands for any output.
//   - A command that judges runs is run again, at most twice, if it comes out
//     differently: a busy machine can let requests miss the server's timer.
func TestTutorial(t *testing.T) {
	t.Parallel()
	for _, need := range [][2]string{{"nginx", "nginx-light"}, {"java", "default-jre-headless"}, {"curl", "curl"}, {"bash", "bash"}} {
		program(t, need[0], need[1])
	}
	if _, err := os.Stat(catalinaHome + "/bin/catalina.sh"); err != nil {
		lacking(t, "Tomcat ("+catalinaHome+")", "tomcat10")
	}
	dir := t.TempDir()
	build(t, filepath.Join(dir, "bin", "kabench"))
	text, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	l := lesson{dir: filepath.Join(dir, "work"), ports: strings.NewReplacer("8081", freePort(t), "8082", freePort(t))}
	if err := os.Mkdir(l.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.stop(t) })
	steps := lessonSteps(string(text))
	if len(steps) < 15 {
		t.Fatalf("docs/tutorial.md has only %d steps", len(steps))
	}
	for _, s := range steps {
		if !l.take(t, s) {
			t.Fatal("the later steps need this one")
		}
	}
}

// build builds kabench.
func build(t *testing.T, path string) {
	t.Helper()
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/kabench").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// step is a file to write, or a command to run.
type step struct {
	file    string // its name; "" for a command
	text    string // of the file
	command string
	shown   []string // the output that the document shows
	code    int      // expected exit code
}

// block is a block of code, with the name of the file in the line above it, if any.
var block = regexp.MustCompile("(?ms)(?:^`([\\w./-]+)`:\n\n)?^```(\\w+)\n(.*?)^```$")

// lessonSteps returns the steps of a tutorial.
func lessonSteps(text string) (steps []step) {
	for _, m := range block.FindAllStringSubmatch(text, -1) {
		switch name, language, body := m[1], m[2], m[3]; {
		case name != "":
			steps = append(steps, step{file: name, text: body})
		case language == "console":
			steps = append(steps, console(body)...)
		}
	}
	return steps
}

func console(body string) (steps []step) {
	code := false // the next line is an exit code
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch last := len(steps) - 1; {
		case isCommand && command == "echo $?":
			code = true
		case isCommand:
			steps = append(steps, step{command: command})
		case code:
			steps[last].code, _ = strconv.Atoi(line)
			code = false
		default:
			steps[last].shown = append(steps[last].shown, line)
		}
	}
	return steps
}

// lesson is a tutorial that is being followed.
type lesson struct {
	dir   string
	ports *strings.Replacer
}

// judging is a command whose result depends on when things happen, and its directory
// of results.
var judging = regexp.MustCompile(`^kabench (?:reproduce|compare|diagnose) .*--out (\S+)`)

// take takes a step, and reports whether it came out as the document says.
func (l lesson) take(t *testing.T, s step) bool {
	t.Helper()
	if s.file != "" {
		write(t, l.dir, s.file, l.ports.Replace(s.text))
		return true
	}
	tries := 1
	out := judging.FindStringSubmatch(s.command)
	if out != nil {
		tries = 3
	}
	for try := 1; ; try++ {
		begin := time.Now()
		code, output := l.run(t, l.ports.Replace(s.command))
		t.Logf("%.1f s: %s", time.Since(begin).Seconds(), s.command)
		wrong := l.differs(s, code, output)
		if len(wrong) == 0 {
			return true
		}
		report := fmt.Sprintf("%s\n$ %s\n%s", strings.Join(wrong, "\n"), s.command, output)
		if try == tries {
			t.Error(report)
			return false
		}
		t.Logf("again: %s", report)
		if err := os.RemoveAll(filepath.Join(l.dir, out[1])); err != nil {
			t.Fatal(err)
		}
	}
}

// differs lists in what the result of a command is not what the document shows.
func (l lesson) differs(s step, code int, output string) (list []string) {
	if code != s.code {
		list = append(list, fmt.Sprintf("exit code %d, want %d", code, s.code))
	}
	// Chance decides whether every raced request meets a FIN, or some an RST.
	have := someOfThem.ReplaceAllString(strings.Join(strings.Fields(output), " "), "all before_response")
	for _, line := range s.shown {
		for _, phrase := range phrasesOf(l.ports.Replace(line)) {
			if !strings.Contains(have, phrase) {
				list = append(list, fmt.Sprintf("the output has no %q, which the document shows", phrase))
			}
		}
	}
	return list
}

// run runs a command as the reader's shell does, and returns its exit code and what it
// printed.
func (l lesson) run(t *testing.T, command string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", command)
	cmd.Dir = l.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(filepath.Dir(l.dir), "bin")+":"+os.Getenv("PATH"), "COLUMNS=100")
	cmd.WaitDelay = 5 * time.Second // a server that it starts keeps its output open
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0, string(out)
	case ctx.Err() == nil && errors.As(err, &exit):
		return exit.ExitCode(), string(out)
	}
	t.Fatalf("%s: %v\n%s", command, err, out)
	return 0, ""
}

// stop ends the servers that a failed lesson has left.
func (l lesson) stop(t *testing.T) {
	for _, file := range []string{"nginx/nginx.pid", "tomcat/pid"} {
		text, err := os.ReadFile(filepath.Join(l.dir, file))
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || pid <= 1 {
			continue
		}
		server, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		if t.Failed() { // otherwise the last step has stopped them
			_ = server.Signal(syscall.SIGTERM)
		}
		for end := time.Now().Add(20 * time.Second); lives(server) && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		}
	}
}

// lives reports whether a process runs: it is there, and has not ended. Nobody may
// collect a server whose parent has ended, so that it stays as a zombie.
func lives(p *os.Process) bool {
	if p.Signal(syscall.Signal(0)) != nil {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.Pid), "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

var someOfThem = regexp.MustCompile(`\d+ of them before_response`)

// figure is a number with its unit.
var figure = regexp.MustCompile(`[≤<>+±~-]?\d[\d.,:/]*(\s?(µs|ms|min|KiB|MiB|kB|MB|[smhB%])\b|\s?%|/s)?`)

// phrasesOf returns the words between the figures of a line, where there are enough to
// recognise.
func phrasesOf(line string) (phrases []string) {
	for _, part := range figure.Split(line, -1) {
		part = strings.Join(strings.Fields(part), " ")
		part = strings.Trim(part, " .,:;()[]")
		if len(part) >= 8 && part != "..." {
			phrases = append(phrases, part)
		}
	}
	return phrases
}

func TestLessonNoticesWhatDiffers(t *testing.T) {
	steps := lessonSteps("`a/b.conf`:\n\n```nginx\nlisten 8081;\n```\n\n```console\n$ kabench lint x\n  set   pool.idle_timeout=1.999s, or less\n...\n$ echo $?\n1\n$ true\n```\n")
	if len(steps) != 3 || steps[0].file != "a/b.conf" || steps[0].text != "listen 8081;\n" || steps[1].code != 1 || len(steps[1].shown) != 2 || steps[2].command != "true" {
		t.Fatalf("%+v", steps)
	}
	l := lesson{ports: strings.NewReplacer()}
	for _, c := range []struct {
		code   int
		output string
		wrong  int
	}{
		{1, "here\n set pool.idle_timeout=23.5ms,\nor less", 0},
		{0, "set pool.idle_timeout=2s, or less", 1},
		{1, "set pool.max_conns=2, or less", 1},
		{2, "", 2},
	} {
		if wrong := l.differs(steps[1], c.code, c.output); len(wrong) != c.wrong {
			t.Errorf("exit code %d and %q: %q", c.code, c.output, wrong)
		}
	}
}
