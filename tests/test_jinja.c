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
        out.status =
            jinja_render(template, variables, count, now, &out.text, &out.marks, &out.error);
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

/* ---- errors and limits ----------------------------------------------------------------------- */

static void expect_error(const char *source, enum takt_status status, const char *message)
{
    struct rendered out = render(source, strlen(source), NULL, 0, 0, false);
    if (out.status != status || strcmp(out.error.message, message) != 0)
        fail_msg("%s: status %d, \"%s\"; expected %d, \"%s\"", source, (int)out.status,
                 out.status == TAKT_OK ? out.text.data : out.error.message, (int)status, message);
    free_rendered(&out);
}

static void test_errors(void **state)
{
    (void)state;
    expect_error("a\n  {% include 'x' %}", TAKT_UNSUPPORTED,
                 "test: line 2, column 3: \"{% include 'x' %}\": takt has no statement include");
    expect_error("{{ 1 | tojason }}", TAKT_UNSUPPORTED,
                 "test: line 1, column 4: \"1 | tojason }}\": takt has no filter tojason");
    expect_error("{{ raise_exception('No!') }}", TAKT_USAGE,
                 "test: line 1, column 4: \"raise_exception('No!') }}\": the template says: No!");
    expect_error(
        "{% for x in 5 %}{% endfor %}", TAKT_FORMAT,
        "test: line 1, column 1: \"{% for x in 5 %}\": integer has no items to go through");
    expect_error("{{ 'a' + none }}", TAKT_FORMAT,
                 "test: line 1, column 4: \"'a' + none }}\": + between string and none");
    expect_error("{% if true %}", TAKT_FORMAT,
                 "test: line 1, column 1: \"{% if true %}\": {% endif %} is missing");
    expect_error("{{ 1 // 0 }}", TAKT_FORMAT,
                 "test: line 1, column 4: \"1 // 0 }}\": division by 0");
    expect_error("x{# no end", TAKT_FORMAT,
                 "test: line 1, column 2: \"{# no end\": the comment has no end");
    expect_error("{% endfor %}", TAKT_FORMAT,
                 "test: line 1, column 1: \"{% endfor %}\": nothing is open that this could end");
}

/* Each of these would run, grow or nest without end. */
static void test_limits(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}"
        "{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set l = [] %}{% set x = l.append(l) %}{{ l }}",
        "{{ range(10 ** 15) }}",
        "{{ 'a' * 10 ** 12 }}",
        "{{ 'a' | indent(200) | replace('', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') "
        "| replace('', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') | replace('', 'aaaaaaaaaaaaaaaaaaaaaaa') "
        "| replace('', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') | replace('', 'aaaaaaaaaaaaaaaaaaaaaaa') "
        "| replace('', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') | length }}",
        "{{ '%99999999d' % 1 }}",
        "{% set l = [1] %}{% for i in range(40) %}{% set l = l + l %}{% endfor %}"
        "{% for i in range(99999) %}{% for j in range(99999) %}{{ i == j }}{% endfor %}{% endfor "
        "%}",
    };
    for (size_t i = 0; i < BASE_COUNT(hostile); i++) {
        struct rendered out = render(hostile[i], strlen(hostile[i]), NULL, 0, 0, false);
        if (out.status != TAKT_LIMIT)
            fail_msg("%s: %s", hostile[i], out.status == TAKT_OK ? "renders" : out.error.message);
        assert_null(strchr(out.error.message, '\n'));
        free_rendered(&out);
    }
    struct base_text deep = {0};
    static const char *const opens[] = {"{{ ((((((((((", "{{ [[[[[[[[[[", "{{ ----------",
                                        "{{ not not not not "};
    for (size_t i = 0; i < BASE_COUNT(opens); i++) {
        deep.length = 0;
        base_text_append(&deep, opens[i], 3);
        for (size_t j = 0; j < 2000; j++)
            base_text_append(&deep, opens[i] + 3, strlen(opens[i]) - 3);
        struct rendered out = render(deep.data, deep.length, NULL, 0, 0, false);
        assert_int_equal(out.status, TAKT_LIMIT);
        free_rendered(&out);
    }
    base_text_free(&deep);
}

/* ---- whose bytes are whose ------------------------------------------------------------------- */

static void expect_marks(const char *source, const char *text, const char *marks)
{
    json_t *data =
        json_pack("{s:s,s:[s,s],s:{s:s}}", "x", "ab C", "l", "p", "q", "o", "role", "user");
    const json_t *sets[] = {data};
    struct rendered out = render(source, strlen(source), sets, 1, 0, true);
    if (out.status != TAKT_OK)
        fail_msg("%s: %s", source, out.error.message);
    for (size_t i = 0; i < out.marks.length; i++)
        out.marks.data[i] = out.marks.data[i] != 0 ? '1' : '.';
    assert_string_equal(out.text.data, text);
    assert_string_equal(out.marks.data, marks);
    free_rendered(&out);
    json_decref(data);
}

static void test_marks(void **state)
{
    (void)state;
    expect_marks("<{{ x }}>", "<ab C>", ".1111.");
    expect_marks("{{ '<' + x | upper + '>' }}", "<AB C>", ".1111.");
    expect_marks("{{ x[1:] ~ 1 }}{{ x.split() | join('-') }}", "b C1ab-C", "111.11.1");
    expect_marks("{{ l | tojson }}", "[\"p\", \"q\"]", "..1....1..");
    expect_marks("{{ x.replace(' ', '_') | trim }}", "ab_C", "11.1");
    expect_marks("{% set y %}({{ x }}){% endset %}{{ y | indent(2, true) }}", "  (ab C)",
                 "...1111.");
    expect_marks("{{ '%s|%s' % (x, 'z') }}", "ab C|z", "1111..");
    expect_marks("{{ '<|' + o.role + '|>' }}", "<|user|>", "........");
    expect_marks("{% macro m(t) %}[{{ t }}]{% endmacro %}{{ m(x) | replace('[', '{') }}", "{ab C]",
                 ".1111.");
}

TEST_GROUP(jinja, cmocka_unit_test(test_templates), cmocka_unit_test(test_constructs),
           cmocka_unit_test(test_errors), cmocka_unit_test(test_limits),
           cmocka_unit_test(test_marks));
