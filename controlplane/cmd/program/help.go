package program

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// commandUses lists, for each command with a Config, the words of the tag for that name its
// settings. Commands that are not listed use only settings without that tag.
var commandUses = map[string][]string{
	"serve": {"serve"}, "work": {"work"}, "dns": {"dns"}, "all": {"serve", "work", "dns"},
	"admin create-org": {"admin"}, "admin create-token": {"admin"},
	"admin invite":  {"admin", "invite"},
	"admin ca hold": {"admin", "ca"}, "admin ca release": {"admin", "ca"}, "admin ca list": {"ca"},
	"admin roll-account-key": {"account"},
}

// showOwnFlags hides the flags that a command accepts but does not use from its help. All commands
// accept all settings, so that processes can share one environment.
func showOwnFlags(model *kong.Application) {
	for _, leaf := range model.Leaves(false) {
		uses := commandUses[strings.TrimPrefix(leaf.FullPath(), model.Name+" ")]
		for _, flag := range leaf.Flags {
			words := strings.Fields(flag.Tag.Get("for"))
			if len(words) > 0 && !slices.ContainsFunc(words, func(word string) bool {
				return slices.Contains(uses, word)
			}) {
				flag.Hidden = true
			}
		}
	}
}
