"""The style sheet of the report: one column to read, figures and tables as wide as it, light, dark, narrow and on paper."""

from gatework.report.palette import DARK, LIGHT, variables

RULES = """
*{box-sizing:border-box}
html{color-scheme:light dark;scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:1.0625rem/1.62 var(--serif);font-variant-numeric:oldstyle-nums;
 text-rendering:optimizeLegibility;overflow-wrap:break-word}
.page{max-width:76rem;margin:0 auto;padding:0 1.25rem 5rem;display:grid;grid-template-columns:minmax(0,47.5rem);
 justify-content:center}
nav{font:.8125rem/1.4 var(--sans);color:var(--muted)}
nav ol{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.35rem 1.1rem}
nav a{color:inherit;text-decoration:none}
nav a:hover,nav a:focus-visible{color:var(--blue)}
nav .mark{display:none}
header{padding-top:3.2rem}
.kicker{font:600 .75rem/1.3 var(--sans);letter-spacing:.09em;text-transform:uppercase;color:var(--muted);margin:0 0 .9rem}
h1{font-weight:600;font-size:clamp(1.75rem,1.2rem + 2.4vw,2.6rem);line-height:1.14;letter-spacing:-.012em;margin:0 0 1.1rem;
 text-wrap:balance}
h2{font-weight:600;font-size:1.5rem;line-height:1.25;letter-spacing:-.005em;margin:0 0 .9rem}
h2 .number{color:var(--muted);font-weight:400;margin-right:.65rem;font-variant-numeric:lining-nums}
h3{font:600 .9375rem/1.4 var(--sans);margin:2.1rem 0 .6rem}
p{margin:0 0 1rem;max-width:41rem;hyphens:manual}
section{margin-top:3.4rem;padding-top:1.6rem;border-top:1px solid var(--rule);scroll-margin-top:1rem}
.lead{font-size:1.28rem;line-height:1.48;margin-bottom:.9rem;text-wrap:pretty}
a{color:var(--blue);text-decoration-thickness:1px;text-underline-offset:.16em}
a.term{color:inherit;text-decoration:underline dotted;text-decoration-color:var(--muted);text-underline-offset:.2em}
a.term:hover,a.term:focus-visible{color:var(--blue)}
code,pre,kbd{font-family:var(--mono);font-size:.84em;font-variant-numeric:lining-nums}
code{background:var(--faint);border-radius:3px;padding:.08em .32em;overflow-wrap:anywhere}
pre{background:var(--faint);border-radius:6px;padding:.95rem 1.1rem;line-height:1.55;overflow-x:auto;margin:0 0 1.2rem;
 font-size:.8125rem;tab-size:4}
pre code{background:none;padding:0;font-size:inherit;overflow-wrap:normal}
dl{margin:0}dd{margin:0}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.6rem,1fr));overflow:hidden;border-block:1px solid var(--rule);
 margin:1.7rem 0 1.9rem;font-family:var(--sans)}
.facts div{padding:.75rem .9rem;margin:0 0 -1px -1px;border-left:1px solid var(--rule);border-bottom:1px solid var(--rule)}
.facts dt{font-size:.75rem;color:var(--muted);line-height:1.3}
.facts dd{font-size:1.125rem;line-height:1.35;font-variant-numeric:lining-nums tabular-nums}
.facts dd span{display:block;font-size:.8125rem;color:var(--muted)}
.table{margin:1.4rem 0;overflow-x:auto}
table{border-collapse:collapse;width:100%;font:.875rem/1.45 var(--sans);font-variant-numeric:lining-nums tabular-nums}
caption,figcaption,.note{font:.8438rem/1.5 var(--sans);color:var(--muted);text-align:left;font-variant-numeric:lining-nums}
caption{caption-side:bottom;padding-top:.7rem}
th{font-weight:600;text-align:left;vertical-align:bottom}
thead th{border-bottom:1.5px solid var(--ink);padding:.4rem .8rem .45rem 0}
tbody th,td{padding:.5rem .8rem .5rem 0;border-bottom:1px solid var(--faint);vertical-align:top}
tbody tr:last-child>*{border-bottom:1px solid var(--rule)}
.unit{display:block;font-weight:400;color:var(--muted);font-size:.75rem}
table.scores td,table.scores thead th:not(:first-child){text-align:right;white-space:nowrap}
table.scores tbody th{min-width:7.5rem}
table.scores th,table.scores td{padding-right:.5rem}
table.scores tbody th,table.scores thead th:first-child{padding-left:.7rem}
.interval{display:block;color:var(--muted);font-size:.7188rem}
tr.model>*{background:color-mix(in srgb,var(--blue) 7%,transparent)}
tr.model>th{box-shadow:inset 3px 0 var(--blue);padding-left:.75rem}
table.scores tbody th{padding-left:.75rem}
table.scores thead th:first-child{padding-left:.75rem}
.best>span>data{font-weight:700}
.whole{white-space:nowrap}
.tag{font-size:.6875rem;font-weight:600;border:1px solid currentColor;border-radius:3px;padding:0 .28em;margin-right:.42em;
 color:var(--ink)}
.swatch{display:inline-block;width:1.5rem;height:.5em;margin-right:.5rem;vertical-align:baseline}
.swatch line{stroke-width:3}
.ranges{font:.8125rem/1.3 var(--sans);margin:1.5rem 0 .4rem}
.ranges .row{display:grid;grid-template-columns:9.5rem 1fr;align-items:center;gap:.75rem;min-height:1.65rem}
.ranges .name{text-align:right;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.methods{font:.8125rem/1.5 var(--sans);color:var(--muted);font-variant-numeric:lining-nums;margin-top:1.3rem}
.methods div{display:grid;grid-template-columns:9.5rem 1fr;gap:0 .75rem;padding:.15rem 0}
.methods dt{color:var(--ink);text-align:right}
.track{position:relative;height:1.65rem;border-left:1px solid var(--rule)}
.track::after{content:"";position:absolute;left:0;right:0;top:50%;border-top:1px solid var(--faint)}
.track i{position:absolute;z-index:1;top:50%;height:4px;margin-top:-2px;border-radius:2px;opacity:.5}
.track b{position:absolute;z-index:2;top:50%;width:11px;height:11px;margin:-5.5px 0 0 -5.5px;border-radius:50%;
 border:2px solid var(--paper)}
.track s{position:absolute;top:0;bottom:0;border-left:1px dashed var(--blue);opacity:.6}
.ranges .ends{display:flex;justify-content:space-between;color:var(--muted);font-variant-numeric:lining-nums tabular-nums;
 font-size:.75rem}
figure{margin:1.8rem 0 2.2rem}
figure>svg{display:block;width:100%;height:auto;overflow:visible;font-family:var(--sans)}
figure>svg *{stroke-linejoin:round;stroke-linecap:butt}
figure>svg.narrow{display:none}
figcaption{margin-top:.55rem;max-width:41rem}
figcaption strong,.note strong,caption strong{color:var(--ink);font-weight:600}
.heading{font:600 .9375rem/1.4 var(--sans);margin:0 0 .55rem}
.split{display:flex;gap:3px;margin:1.5rem 0 .5rem;font:.8125rem/1.35 var(--sans);font-variant-numeric:lining-nums tabular-nums}
.split>div{min-width:5.3rem;padding-right:.2rem}
.split span{overflow-wrap:normal}
.split .bar{height:1.7rem;border-radius:2px}
.split .train .bar{background:var(--muted);opacity:.55}
.split .validation .bar{background:repeating-linear-gradient(135deg,var(--orange) 0 5px,color-mix(in srgb,var(--orange) 45%,
 var(--paper)) 5px 10px)}
.split .test .bar{background:var(--blue)}
.split strong{display:block;margin-top:.4rem}
.split span{display:block;color:var(--muted)}
.pairs{font:.9375rem/1.5 var(--sans);font-variant-numeric:lining-nums;margin:1.2rem 0}
.pairs>div{display:grid;grid-template-columns:9.5rem 1fr;gap:.2rem 1.2rem;padding:.5rem 0;border-bottom:1px solid var(--faint)}
.pairs dt{color:var(--muted)}
.flow{display:flex;align-items:stretch;flex-wrap:wrap;gap:.5rem 0;margin:1.5rem 0;font:.8125rem/1.4 var(--sans);
 font-variant-numeric:lining-nums}
.flow .box{flex:1 1 7.5rem;border:1px solid var(--rule);border-radius:6px;padding:.6rem .8rem}
.flow .box.recurrent{border:1.5px solid var(--blue)}
.flow .box strong{display:block;font-size:.875rem}
.flow .box span{color:var(--muted)}
.flow .arrow{flex:0 0 2rem;align-self:center;text-align:center;color:var(--muted);font-size:1.1rem}
.equations{margin:1.4rem 0;display:grid;grid-template-columns:minmax(0,max-content) minmax(7rem,1fr);
  gap:.4rem 2rem;align-items:baseline;
 overflow-x:auto}
.equations .symbols{font-size:1.1rem;font-variant-numeric:lining-nums;padding-left:1.5rem;text-indent:-1.5rem}
.equations .meaning{font:.875rem/1.45 var(--sans);color:var(--muted)}
sub{font-size:.7em;line-height:0;vertical-align:-.3em}
var{font-style:italic}
.callout{border:1px solid var(--rule);border-left:4px solid var(--orange);border-radius:4px;padding:.9rem 1.1rem;
 margin:1.4rem 0}
.callout p:last-child{margin-bottom:0}
ul.plain{padding-left:1.15rem;margin:0 0 1rem;max-width:41rem}
ul.plain li{margin-bottom:.45rem;padding-left:.2rem}
ul.plain li::marker{color:var(--muted)}
details{margin:1rem 0}
summary{font:.875rem/1.5 var(--sans);cursor:pointer;color:var(--blue)}
.terms{columns:2;column-gap:2.4rem;font:.875rem/1.5 var(--sans);font-variant-numeric:lining-nums}
.terms div{break-inside:avoid;padding-bottom:.85rem;scroll-margin-top:1rem}
.terms div:target{background:color-mix(in srgb,var(--orange) 20%,transparent);box-shadow:0 0 0 .4rem color-mix(in srgb,
 var(--orange) 20%,transparent)}
.terms dt{font-weight:600}
.terms dd{color:var(--muted)}
footer{margin-top:3.4rem;padding-top:1.1rem;border-top:1px solid var(--rule);font:.8125rem/1.5 var(--sans);color:var(--muted)}
@media (min-width:71rem){
 .page{grid-template-columns:11.5rem minmax(0,47.5rem);column-gap:4.5rem}
 nav{grid-column:1;grid-row:1;padding-top:4rem}
 nav ol{position:sticky;top:2.4rem;display:block}
 nav li{padding:.28rem 0}
 nav .mark{display:inline;color:var(--rule);margin-right:.5rem;font-variant-numeric:tabular-nums}
 main{grid-column:2;grid-row:1}
}
@media (max-width:70.99rem){nav{padding-top:1.1rem;border-bottom:1px solid var(--rule);padding-bottom:.9rem}header{
 padding-top:2.2rem}}
@media (max-width:40rem){
 body{font-size:1rem}
 .lead{font-size:1.15rem}
 section{margin-top:2.4rem}
 figure.twofold>svg.wide{display:none}
 figure.twofold>svg.narrow{display:block}
 table.scores thead{display:none}
 table.cards tbody,table.cards tr,table.cards th,table.cards td{display:block;text-align:left}
 table.cards{display:flex;flex-direction:column}
 table.cards thead{display:none}
 table.cards tr{padding:.5rem 0;border-bottom:1px solid var(--rule)}
 table.cards tbody th,table.cards tbody td{border:0;padding:.12rem 0 .12rem .75rem;min-width:0}
 table.cards td{display:grid!important;grid-template-columns:7rem 1fr;gap:0 .8rem;white-space:normal!important;
 text-align:left!important}
 table.cards td::before{content:attr(data-label);color:var(--muted);font-size:.8125rem}
 table.cards caption{display:block;order:2}
 tr.model>th{box-shadow:none}
 tr.model{box-shadow:inset 3px 0 var(--blue);background:color-mix(in srgb,var(--blue) 7%,transparent)}
 tr.model>*{background:none}
 .ranges .row,.methods div,.pairs>div{grid-template-columns:6.4rem 1fr}
 .equations{grid-template-columns:1fr;gap:0}
 .equations .symbols{font-size:1.02rem;overflow-x:auto}
 .equations .meaning{padding-bottom:.7rem}
 .terms{columns:1}
 .flow{flex-direction:column}
 .flow .box{flex:none}
 .flow .arrow{flex:none;transform:rotate(90deg)}
}
@media print{
 @page{margin:18mm 16mm}
 html{font-size:9.5pt}
 .table{overflow:visible}
 table.scores tbody th{min-width:0}
 .page{display:block;padding:0;max-width:none}
 nav{display:none}
 header{padding-top:0}
 section{margin-top:1.6rem}
 figure,table.scores,.ranges,.split,.flow,.equations,.callout,tr{break-inside:avoid}
 h2,h3,.heading{break-after:avoid}
 pre{white-space:pre-wrap;overflow-wrap:anywhere}
 a.term{text-decoration:none}
 *{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""

FONTS = (
    "--serif:Charter,'Bitstream Charter','Iowan Old Style','Sitka Text',Cambria,Georgia,'Liberation Serif',serif;"
    "--sans:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','Liberation Sans',Arial,sans-serif;"
    "--mono:ui-monospace,'SF Mono','Cascadia Mono',Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace;"
)


def style_sheet() -> str:
    """The whole style sheet; dark only on screens, since paper is white."""
    return f":root{{{FONTS}{variables(LIGHT)}}}@media screen and (prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}{RULES}"
