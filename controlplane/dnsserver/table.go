package dnsserver

import "encoding/binary"

// table holds keys in one piece of memory without pointers, each where its own bits say or
// soon after it (open addressing): they are HMACs, spread evenly by themselves, and nobody
// who asks can add one. A look-up touches a cache line or two, and the garbage collector none.
type table struct {
	slots []slot
	used  int
}

// slot is a key and what is known of it, which is never 0; without a key, all is 0.
type slot struct {
	key  key
	mark uint32
}

// get returns the mark of a key, 0 where it is not there.
func (t *table) get(k *key) uint32 {
	if len(t.slots) == 0 {
		return 0
	}
	return t.slots[t.at(k)].mark
}

// set gives a key a mark, or removes it by 0.
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

// each gives every key another mark, or removes it by 0. It may come by a key twice, with the
// mark that change gave it the first time.
func (t *table) each(change func(mark uint32) uint32) {
	for i := 0; i < len(t.slots); {
		s := &t.slots[i]
		if s.mark == 0 {
			i++
			continue
		}
		if s.mark = change(s.mark); s.mark == 0 {
			t.close(i) // and another may be here now
			continue
		}
		i++
	}
}

// at returns where a key is, or else where it would be. There is room, see set.
func (t *table) at(k *key) int {
	for i := t.home(k); ; i = t.after(i) {
		if s := &t.slots[i]; s.mark == 0 || s.key == *k {
			return i
		}
	}
}

// home returns where the search for a key begins. Its first octet has chosen the shard.
func (t *table) home(k *key) int {
	return int(uint64(binary.BigEndian.Uint32(k[1:])) * uint64(len(t.slots)) >> 32)
}

func (t *table) after(i int) int {
	if i++; i < len(t.slots) {
		return i
	}
	return 0
}

// close empties a slot, and moves up those behind it whose search would end there now.
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

// grow makes room for a quarter more, so that memory is never far from what it must be: at
// least three slots of five are used, and at most three of four.
func (t *table) grow() {
	old := t.slots
	t.slots = make([]slot, 8+len(old)+len(old)/4)
	for i := range old {
		if old[i].mark != 0 {
			t.slots[t.at(&old[i].key)] = old[i]
		}
	}
}
