/* Templates: the vectors of an outside interpreter, errors that quote, limits, marks. */
#include "tests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/jinja.h"

static json_t *load(const char *path)
{
    json_error_t problem;
    json_t *json = json_load_file(path, 0, &problem);
    if (json == NULL)
        fail_msg("%s: %s", path, problem.text);
    return json;
}

struct rendered {
    enum takt_status status;
    struct base_text text, marks;
    struct takt_error error;
};

static struct rendered render(const char *source, size_t length, const json_t *const *sets,
                              size_t set_count, int64_t now, bool foreign)
{
    struct rendered out = {.status = TAKT_OK};
    struct jinja_variable variables[64];
    size_t count = 0;
    const char *name;
    json_t *value;
    for (size_t i = 0; i < set_count; i++)
        json_object_foreach((json_t *)(uintptr_t)sets[i], name, value)
        {
            assert_true(count < BASE_COUNT(variables));
            variables[count++] = (struct jinja_variable){name, value, foreign};
        }
    struct jinja *template;
    base_text_append(&out.text, "", 0);
    out.status = jinja_compile(&template, "test", source, length, &out.error);
    if (out.status == TAKT_OK)
        out.status = jinja_render(template, variables, count, now, &out.text, &out.marks,
                                  &out.error);
    if (out.status == TAKT_OK)
        assert_int_equal(out.text.length, out.marks.length);
    jinja_destroy(template);
    return out;
}

static void free_rendered(struct rendered *out)
{
    base_text_free(&out->text);
    base_text_free(&out->marks);
}

/* Does what came out match an entry's "expected" or "fails"? */
static void expect(const char *name, const json_t *entry, struct rendered *out)
{
    const char *expected = json_string_value(json_object_get(entry, "expected"));
    const char *own = json_string_value(json_object_get(entry, "own"));
    if (own != NULL) {
        if ((out->status == TAKT_OK) != (strcmp(own, "renders") == 0))
            fail_msg("%s: it %s, though it should be %s", name,
                     out->status == TAKT_OK ? "renders" : "is refused", own);
        free_rendered(out);
        return;
    }
    if (expected == NULL && out->status == TAKT_OK)
        fail_msg("%s: rendered \"%s\", but \"%s\" was expected", name, out->text.data,
                 json_string_value(json_object_get(entry, "fails")));
    if (expected != NULL && out->status != TAKT_OK)
        fail_msg("%s: %s; expected \"%s\"", name, out->error.message, expected);
    if (expected != NULL && strcmp(expected, out->text.data) != 0)
        fail_msg("%s:\ngot      \"%s\"\nexpected \"%s\"", name, out->text.data, expected);
    free_rendered(out);
}

static void test_templates(void **state)
{
    (void)state;
    json_t *root = load("tests/templates/vectors.json");
    json_t *defaults = json_pack("{s:b,s:s,s:s}", "add_generation_prompt", 1, "bos_token", "<s>",
                                 "eos_token", "</s>");
    json_int_t now = json_integer_value(json_object_get(root, "now"));
    size_t index;
    json_t *entry;
    const json_t *vectors = json_object_get(root, "vectors");
    assert_true(json_array_size(vectors) >= 240);
    json_array_foreach(vectors, index, entry)
    {
        char path[256], name[256];
        const char *template = json_string_value(json_object_get(entry, "template"));
        const char *chat = json_string_value(json_object_get(entry, "chat"));
        snprintf(path, sizeof path, "tests/templates/%s", template);
        snprintf(name, sizeof name, "%s with %s", template, chat);
        struct base_file file;
        assert_int_equal(base_file_map(&file, path, NULL), TAKT_OK);
        json_t *context = json_copy(defaults);
        json_object_update(context, json_object_get(json_object_get(root, "chats"), chat));
        const json_t *sets[] = {context};
        struct rendered out = render((const char *)file.data, file.size_bytes, sets, 1, now, false);
        expect(name, entry, &out);
        json_decref(context);
        base_file_unmap(&file);
    }
    json_decref(defaults);
    json_decref(root);
}

static void test_constructs(void **state)
{
    (void)state;
    json_t *root = load("tests/templates/constructs.json");
    json_int_t now = json_integer_value(json_object_get(root, "now"));
    size_t index;
    json_t *entry;
    const json_t *constructs = json_object_get(root, "constructs");
    assert_true(json_array_size(constructs) >= 70);
    json_array_foreach(constructs, index, entry)
    {
        const json_t *source = json_object_get(entry, "source");
        const json_t *sets[] = {json_object_get(root, "data")};
        struct rendered out = render(json_string_value(source), json_string_length(source), sets, 1,
                                     now, index % 2 == 1);
        expect(json_string_value(source), entry, &out);
    }
    json_decref(root);
}

TEST_GROUP(jinja, cmocka_unit_test(test_templates), cmocka_unit_test(test_constructs));
