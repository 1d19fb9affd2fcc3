package replica

import (
	"testing"
)

func TestRecordsReachTheOtherMachines(t *testing.T) {
	t.Parallel()
	machines := newCluster(t, "a", "b", "c")
	a, b, c := machines[0], machines[1], machines[2]
	id := a.add("notion")
	expectEqual(t, a, b, c)
	for _, m := range machines {
		eventually(t, m.name+" has the plugin with its secret", func() bool {
			plugin, err := m.plugins.Find("notion")
			return err == nil && plugin != nil && plugin.ClientSecret == testSecret
		})
	}
	b.mustChange(id, map[string]any{"slug": "figma", "scope": "read"})
	expectEqual(t, b, a, c)
	eventually(t, "c knows the new slug only", func() bool {
		plugin, err := c.plugins.Find("figma")
		before, _ := c.plugins.Find("notion")
		return err == nil && plugin != nil && before == nil
	})
	c.add("notion") // is free again
	c.remove("plugins", id)
	expectEqual(t, c, a, b)
	if slugs := a.column("plugins", "slug"); len(slugs) != 1 || slugs[0] != "notion" {
		t.Errorf("a has %v", slugs)
	}
}
