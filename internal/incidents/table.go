package incidents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
)

// PrintJSON writes a list of what each printed, and for one that printed
// nothing its name and why.
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

// Print writes the table and, of each that was not reproduced, what was
// missing and where there is more. There were to be so many; the results are in
// out, "" when they were not kept.
func Print(w io.Writer, all []*Result, of int, out string) error {
	var b bytes.Buffer
	t := layout.Table(&b)
	fmt.Fprintf(t, "incident\tfailed\twith remedies\ttook\t\n")
	reproduced := 0
	for _, r := range all {
		failed, remedied := "-", "-"
		if r.Reproduction != nil {
			failed = failures(r.Reproduction.IncidentRun)
			if len(r.Reproduction.RemedyRuns) > 0 {
				remedied = ""
			}
			for i, remedy := range r.Reproduction.RemedyRuns {
				if i > 0 {
					remedied += ", "
				}
				remedied += failures(remedy.Run)
			}
			if r.Reproduction.Reproduced {
				reproduced++
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d s\t%s\n", r.Name, failed, remedied, int(r.Took.Seconds()), r.Says())
	}
	t.Flush()
	if err := layout.Print(w, b.String(), 0); err != nil {
		return err
	}
	for _, r := range all {
		if r.Reproduction == nil || r.Reproduction.Reproduced || r.Code == exit.Interrupted {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", r.Name)
		if err := results.RenderShortcomings(w, r.Reproduction); err != nil {
			return err
		}
		more := "kabench reproduce " + r.Name
		if out != "" {
			more += ", or its reports below " + filepath.Join(out, r.Name)
		}
		fmt.Fprintf(w, "For more: %s\n", more)
	}
	_, err := fmt.Fprintf(w, "\n%d of %d reproduced", reproduced, of)
	if left := of - len(all); err == nil && left > 0 {
		_, err = fmt.Fprintf(w, ", %d not begun", left)
	}
	if err == nil {
		_, err = fmt.Fprintln(w)
	}
	return err
}

func failures(run *results.Run) string {
	if run == nil {
		return "-"
	}
	text := fmt.Sprintf("%d of %d", run.Counts.Failed, run.Counts.Started)
	if n := run.ErrorAnswers.Sum(); n > 0 {
		text += fmt.Sprintf(" (and %d error answers)", n)
	}
	return text
}
