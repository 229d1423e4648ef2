package incidents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// PrintJSON writes a list of the reproductions, and for an incident without one its name and
// the reason.
func PrintJSON(w io.Writer, all []*Result) error {
	list := []json.RawMessage{}
	for _, r := range all {
		text := r.JSON
		if text == nil {
			var err error
			if text, err = json.Marshal(map[string]any{"incident": r.Name, "reproduced": false, "error": r.Says()}); err != nil {
				return err
			}
		}
		list = append(list, text)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(list)
}

// Print writes a table and, for each incident that was not reproduced, what was missing
// and where there is more. of is how many incidents there were to be, out is where the
// results are, "" if they were not kept.
func Print(w io.Writer, all []*Result, of int, out string) error {
	var b bytes.Buffer
	t := layout.Table(&b)
	fmt.Fprintf(t, "incident\tfailed\twith remedies\ttook\t\n")
	reproduced := 0
	for _, r := range all {
		failed, remedied := r.failures()
		if r.Reproduction != nil && r.Reproduction.Reproduced {
			reproduced++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d s\t%s\n", r.Name, failed, remedied, int(r.Took.Seconds()), r.Says())
	}
	t.Flush()
	if err := layout.Print(w, b.String(), 0); err != nil {
		return err
	}
	for _, r := range all {
		if err := r.printShortcomings(w, out); err != nil {
			return err
		}
	}
	sum := fmt.Sprintf("\n%d of %d reproduced", reproduced, of)
	if left := of - len(all); left > 0 {
		sum += fmt.Sprintf(", %d not started", left)
	}
	_, err := fmt.Fprintln(w, sum)
	return err
}

// printShortcomings writes what was missing when the incident was not reproduced.
func (r *Result) printShortcomings(w io.Writer, out string) error {
	if r.Reproduction == nil || r.Reproduction.Reproduced || r.Code == exit.Interrupted {
		return nil
	}
	fmt.Fprintf(w, "\n%s\n", r.Name)
	if err := text.RenderShortcomings(w, r.Reproduction); err != nil {
		return err
	}
	more := "kabench reproduce " + r.Name
	if out != "" {
		more += ", or its results in " + filepath.Join(out, r.Name)
	}
	_, err := fmt.Fprintf(w, "For details: %s\n", more)
	return err
}

// failures counts the failed requests of the incident and of each remedy.
func (r *Result) failures() (incident, remedies string) {
	if r.Reproduction == nil {
		return "-", "-"
	}
	var list []string
	for _, remedy := range r.Reproduction.RemedyRuns {
		list = append(list, failures(remedy.Run))
	}
	if list == nil {
		list = []string{"-"}
	}
	return failures(r.Reproduction.IncidentRun), strings.Join(list, ", ")
}

func failures(run *results.Run) string {
	if run == nil {
		return "-"
	}
	text := fmt.Sprintf("%d of %d", run.Counts.Failed, run.Counts.Started)
	if n := run.ErrorAnswers.Sum(); n > 0 {
		text += fmt.Sprintf(" (and %d error responses)", n)
	}
	return text
}
