package external

// numbers remembers the states of the exchanges that were dispatched: two bits for
// each, in blocks, because their numbers count up.
type numbers struct {
	blocks map[uint64]*[blockSize / 4]uint8
}

// blockSize is how many numbers a block has.
const blockSize = 1 << 14

// numberState is how far an exchange has come.
type numberState uint8

const (
	numberUnsent numberState = iota
	numberSent
	numberAnswered
	numberGivenUp // an answer may still come
)

// set notes the state of a number.
func (n *numbers) set(seq uint64, s numberState) {
	b := n.blocks[seq/blockSize]
	if b == nil {
		if n.blocks == nil {
			n.blocks = map[uint64]*[blockSize / 4]uint8{}
		}
		b = new([blockSize / 4]uint8)
		n.blocks[seq/blockSize] = b
	}
	in, shift := seq%blockSize/4, seq%4*2
	b[in] = b[in]&^(3<<shift) | uint8(s)<<shift
}

// of returns the state of a number.
func (n *numbers) of(seq uint64) numberState {
	b := n.blocks[seq/blockSize]
	if b == nil {
		return numberUnsent
	}
	return numberState(b[seq%blockSize/4] >> (seq % 4 * 2) & 3)
}
