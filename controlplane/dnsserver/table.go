package dnsserver

import "encoding/binary"

// table is a hash table of keys in one block of memory without pointers, with open addressing. Keys
// are HMACs and therefore evenly distributed, and clients cannot add keys. A lookup reads one or
// two cache lines, and the garbage collector scans none.
type table struct {
	slots []slot
	used  int
}

// slot is a key and its mark, which is not 0. An empty slot is all 0.
type slot struct {
	key  key
	mark uint32
}

// get returns the mark of a key, or 0 if it is missing.
func (t *table) get(k *key) uint32 {
	if len(t.slots) == 0 {
		return 0
	}
	return t.slots[t.at(k)].mark
}

// set sets the mark of a key. A mark of 0 removes it.
func (t *table) set(k *key, mark uint32) {
	if t.get(k) != 0 {
		i := t.at(k)
		if t.slots[i].mark = mark; mark == 0 {
			t.close(i)
		}
		return
	}
	if mark == 0 {
		return
	}
	if 4*(t.used+1) > 3*len(t.slots) {
		t.grow()
	}
	t.slots[t.at(k)] = slot{*k, mark}
	t.used++
}

// each replaces the mark of every key with the result of change. A mark of 0 removes the key. A key
// may be visited twice; the second time with its new mark.
func (t *table) each(change func(mark uint32) uint32) {
	for i := 0; i < len(t.slots); {
		s := &t.slots[i]
		if s.mark == 0 {
			i++
			continue
		}
		if s.mark = change(s.mark); s.mark == 0 {
			t.close(i) // another key may have moved here
			continue
		}
		i++
	}
}

// at returns the index of a key, or of the slot for a new one. set keeps enough slots free.
func (t *table) at(k *key) int {
	for i := t.home(k); ; i = t.after(i) {
		if s := &t.slots[i]; s.mark == 0 || s.key == *k {
			return i
		}
	}
}

// home returns the index where the search for a key starts. It ignores the first octet, which
// selects the shard.
func (t *table) home(k *key) int {
	return int(uint64(binary.BigEndian.Uint32(k[1:])) * uint64(len(t.slots)) >> 32)
}

func (t *table) after(i int) int {
	if i++; i < len(t.slots) {
		return i
	}
	return 0
}

// close empties a slot, and moves the following keys whose search would now stop there.
func (t *table) close(hole int) {
	for i := t.after(hole); t.slots[i].mark != 0; i = t.after(i) {
		home := t.home(&t.slots[i].key)
		if hole < i && hole < home && home <= i || hole > i && (hole < home || home <= i) {
			continue
		}
		t.slots[hole] = t.slots[i]
		hole = i
	}
	t.slots[hole] = slot{}
	t.used--
}

// grow adds a quarter more slots, so that at least three of five slots are used, and at most three
// of four.
func (t *table) grow() {
	old := t.slots
	t.slots = make([]slot, 8+len(old)+len(old)/4)
	for i := range old {
		if old[i].mark != 0 {
			t.slots[t.at(&old[i].key)] = old[i]
		}
	}
}
