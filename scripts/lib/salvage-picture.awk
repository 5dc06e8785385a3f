# Owns the picture of what came back from damaged files: a group of bars for each damage, of 100 % of the rows that were in its files.
# Promises: draws what the table in its input says, and nothing else.
# Never needs more than awk.

BEGIN {
    count = 0
    names[1] = "purge of bootmigrate"; names[2] = ".recover"; names[3] = "reading each table"; names[4] = "VACUUM INTO"
    fills[1] = "#1b6e53"; fills[2] = "#d08c2e"; fills[3] = "#8aa0b8"; fills[4] = "#c9ced6"
    left = 90; wide = 560; bar = 7; gap = 10
}

# | damage | files | rows | purge | .recover | reading | VACUUM INTO | files where .recover has more |
NF == 10 && $3 ~ /^[0-9]+$/ && $4 ~ /^[0-9]+$/ {
    count++
    damage[count] = $2
    for (way = 1; way <= 4; way++) share[count, way] = $4 > 0 ? $(4 + way) / $4 : 0
}

END {
    group = 4 * bar + gap
    tall = 40 + count * group + 30
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"11\">\n", left + wide + 50, tall
    printf "<title>True rows that come back, by damage</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n"
    for (way = 1; way <= 4; way++) {
        printf "<rect x=\"%d\" y=\"10\" width=\"10\" height=\"10\" fill=\"%s\"/>", left + (way - 1) * 145, fills[way]
        printf "<text x=\"%d\" y=\"19\">%s</text>\n", left + (way - 1) * 145 + 14, names[way]
    }
    for (part = 0; part <= 4; part++) {
        x = left + wide * part / 4
        printf "<line x1=\"%d\" y1=\"32\" x2=\"%d\" y2=\"%d\" stroke=\"#e2e5ea\"/>", x, x, tall - 24
        printf "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" fill=\"#555\">%d %%</text>\n", x, tall - 8, part * 25
    }
    for (number = 1; number <= count; number++) {
        y = 40 + (number - 1) * group
        printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left - 8, y + 2 * bar + 4, damage[number]
        for (way = 1; way <= 4; way++)
            printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", left, y + (way - 1) * bar, wide * share[number, way], bar - 1, fills[way]
    }
    print "</svg>"
}
