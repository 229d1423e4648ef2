package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/kabench/kabench/results"
)

// Evidence reads evidence.json: the first failures of a run in a private network,
// packet by packet. The list is empty if the run was not in a private network or was
// cut off.
func (d *Dir) Evidence() ([]results.Evidence, error) {
	data, err := readDocument(d.file(fileEvidence))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []results.Evidence
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.file(fileEvidence), withoutPath(err))
	}
	return all, nil
}

// WriteEvidence writes evidence.json: the packets and stamps of the first failures.
func (w *Writer) WriteEvidence(all []results.Evidence) error {
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return writeWhole(w.dir, fileEvidence, append(text, '\n'))
}
