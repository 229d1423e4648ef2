package packets

import (
	"testing"

	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }
