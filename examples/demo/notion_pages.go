package main

import "fmt"

// The IDs of the databases.
const (
	recipesID = "5d0d6c1e-8a43-4c39-9a30-6f2f7d1b0a01"
	booksID   = "5d0d6c1e-8a43-4c39-9a30-6f2f7d1b0a02"
)

// notionDatabases are the person's.
var notionDatabases = []object{
	{
		"object": "database", "id": recipesID, "title": words("Recipes"),
		"properties": object{
			"Name":       property("title", "Name", "title", object{}),
			"Notes":      property("nOtE", "Notes", "rich_text", object{}),
			"Minutes":    property("mInU", "Minutes", "number", object{"format": "number"}),
			"Vegetarian": property("vEgE", "Vegetarian", "checkbox", object{}),
			"Last made":  property("mAdE", "Last made", "date", object{}),
			"Course":     property("cOuR", "Course", "select", object{"options": courses}),
			"Source":     property("%3Fsrc", "Source", "url", object{}),
			"Cook":       property("cOoK", "Cook", "people", object{}),
		},
	},
	{
		"object": "database", "id": booksID, "title": words("Books"),
		"properties": object{"Title": property("title", "Title", "title", object{})},
	},
}

func property(id, name, kind string, settings object) object {
	return object{"id": id, "name": name, "type": kind, kind: settings}
}

func words(text string) []object {
	if text == "" {
		return []object{}
	}
	return []object{{"type": "text", "plain_text": text, "text": object{"content": text}}}
}

var courses = []object{
	{"id": "c1", "name": "Main course", "color": "green"}, {"id": "c2", "name": "Dessert", "color": "pink"},
}

// notionPages are the pages of the databases, by their IDs.
var notionPages = map[string][]object{recipesID: recipePages(), booksID: {}}

// recipe is a page. The zero value of a field but the name means that it is blank in Notion.
type recipe struct {
	name, notes, made, source string

	minutes    int
	vegetarian bool
	course     object
}

func recipePages() (pages []object) {
	for i, r := range []recipe{
		{
			name: "Tomato soup", notes: "Better on the second day.", minutes: 40, vegetarian: true,
			made: "2026-03-14", course: courses[0], source: "https://recipes.example/tomato-soup",
		},
		{name: "Crème brûlée", minutes: 75, vegetarian: true, course: courses[1]},
		{name: "Paella", minutes: 60, made: "2026-02-01T19:30:00.000+01:00", course: courses[0]},
		{name: "Tomato soup", notes: "With lentils.", minutes: 55, vegetarian: true, course: courses[0]},
		{},
		{name: "Apple pie", minutes: 90, vegetarian: true, course: courses[1]},
		{name: "Ratatouille", minutes: 50, vegetarian: true, course: courses[0]},
		{name: "Goulash", minutes: 180, course: courses[0]},
		{name: "Pancakes", minutes: 25, vegetarian: true, course: courses[1]},
		{name: "Dal", minutes: 35, vegetarian: true, course: courses[0]},
		{name: "Panna cotta", minutes: 20, course: courses[1]},
		{name: "Risotto", minutes: 45, vegetarian: true, course: courses[0]},
	} {
		pages = append(pages, r.page(fmt.Sprintf("9b1f3a52-0c7e-4d18-b6aa-%012d", i+1)))
	}
	return pages
}

func (r recipe) page(id string) object {
	var minutes, made, course, source any
	if r.minutes > 0 {
		minutes = r.minutes
	}
	if r.made != "" {
		made = object{"start": r.made, "end": nil, "time_zone": nil}
	}
	if r.course != nil {
		course = r.course
	}
	if r.source != "" {
		source = r.source
	}
	value := func(id, kind string, value any) object { return object{"id": id, "type": kind, kind: value} }
	return object{
		"object": "page", "id": id,
		"properties": object{
			"Name":       value("title", "title", words(r.name)),
			"Notes":      value("nOtE", "rich_text", words(r.notes)),
			"Minutes":    value("mInU", "number", minutes),
			"Vegetarian": value("vEgE", "checkbox", r.vegetarian),
			"Last made":  value("mAdE", "date", made),
			"Course":     value("cOuR", "select", course),
			"Source":     value("%3Fsrc", "url", source),
			"Cook":       value("cOoK", "people", []object{}),
		},
	}
}
