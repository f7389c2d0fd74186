/* Blinks a sentence in Morse code, for a lamp in a window on the other side of the valley.
 *
 * The table is indexed by letter. A dot lasts one unit of time and a dash lasts three. Between the
 * marks of one letter the lamp is dark for one unit, between two letters for three, and between
 * two words for seven. These lengths have been the same since the days of the telegraph.
 */

#include <ctype.h>
#include <stdio.h>

static const char *const LETTERS[26] = {
    ".-",   "-...", "-.-.", "-..",  ".",   "..-.", "--.",  "....", "..",
    ".---", "-.-",  ".-..", "--",   "-.",  "---",  ".--.", "--.-", ".-.",
    "...",  "-",    "..-",  "...-", ".--", "-..-", "-.--", "--..",
};

/* The lamp here is a line of text: a block while it is lit, a blank while it is dark. Replace
 * these two functions by whatever switches your real lamp on and off. */
static void lit(int units) {
    while (units-- > 0) putchar('#');
}

static void dark(int units) {
    while (units-- > 0) putchar(' ');
}

/* Sends one letter, without the pause that has to follow it. */
static void send_letter(char letter) {
    const char *mark = LETTERS[tolower((unsigned char)letter) - 'a'];
    for (; *mark != '\0'; mark++) {
        lit(*mark == '.' ? 1 : 3);
        if (mark[1] != '\0') dark(1);
    }
}

/* Sends a sentence. Anything which is not a letter counts as the gap between two words, and
 * several of them in a row count as one gap, so that a comma and a space are not too long. */
void send(const char *sentence) {
    int pause = 0; /* the darkness owed before the next letter */
    for (; *sentence != '\0'; sentence++) {
        if (isalpha((unsigned char)*sentence)) {
            dark(pause);
            send_letter(*sentence);
            pause = 3;
        } else if (pause > 0) {
            pause = 7;
        }
    }
    putchar('\n');
}

int main(void) {
    send("Good night, the kettle is on");
    return 0;
}
