package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// Evidence reads evidence.json, the first failures of a run in a private network
// packet by packet. A run that has none, because it was in no such network or was
// cut off, gives an empty list.
func (d *Dir) Evidence() ([]Evidence, error) {
	data, err := readDocument(d.file(fileEvidence))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []Evidence
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.file(fileEvidence), withoutPath(err))
	}
	return all, nil
}
